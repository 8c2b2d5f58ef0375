"""The ledger of paid model replies, and an organization's spending per UTC day (by the database's clock).

All writes lock in the same order: user, reply, spending of the day.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from sqlalchemy import bindparam, case, func, select, text, update

from domain.errors import AnswerAwaited, AttemptsExceeded, BudgetSpent, Conflict, Erased, NotFound
from domain.grading.ledger import Completion, CompletionKey, Reservation, SpendingLimits
from domain.grading.model_grading import Call, Variant
from domain.grading.scores import Spent
from persistence.repositories.base import Repository
from persistence.repositories.mappers import AnyRow
from persistence.tables import ModelAnswerRow, ModelSpendingRow
from persistence.tables.base import table_of

SMALLEST_CENTS: Final = Decimal("0.000001")
"""The reservation for a call of unknown price. It is not zero, so that a spent budget stops such a call too."""

_answers: Final = table_of(ModelAnswerRow)
_spending: Final = table_of(ModelSpendingRow)
_ANSWERED: Final = _answers.c.status == "answered"

_REPLIES: Final = select(_answers.c.sample, _answers.c.round, _answers.c.variant, _answers.c.raw_reply).where(
    _ANSWERED,
    _answers.c.assessment_id == bindparam("assessment_id"),
    _answers.c.question_snapshot_id == bindparam("snapshot_id"),
    _answers.c.rubric_hash == bindparam("rubric_version"),
    _answers.c.prompt_hash == bindparam("prompt_hash"),
    _answers.c.model == bindparam("model"),
    _answers.c.epoch == bindparam("epoch"),
)

# Inserts the reply's row if it is missing; otherwise locks it with an update that changes nothing. The clock is read
# after the wait for the lock. `attempt` is the number of this assessment among the student's assessments of the role on
# that day.
_HOLD: Final = text("""
WITH learner AS (
  SELECT assessments.id, user_id, assessments.organization_id, role_id, submitted_at,
    users.status IN ('erasing', 'erased') AS erased
  FROM assessments JOIN users ON users.id = assessments.user_id
  WHERE assessments.id = :assessment_id
  FOR SHARE OF users
), held AS (
  INSERT INTO model_answers AS answer (
    id, assessment_id, question_snapshot_id, rubric_hash, prompt_hash, model, sample, round, epoch, variant, status)
  SELECT :id, learner.id, :snapshot_id, :rubric_version, :prompt_hash, :model, :sample, :round, :epoch, :variant,
    'intended'
  FROM learner WHERE NOT erased
  ON CONFLICT (id) DO UPDATE SET status = answer.status
  RETURNING status, lease_until, reserved_cents, clock_timestamp() AS now
)
SELECT learner.organization_id, learner.erased, held.status, held.reserved_cents,
  CAST(extract(epoch FROM held.lease_until - held.now) AS float8) AS lease_left_s,
  CAST(held.now AT TIME ZONE 'UTC' AS date) AS today,
  CAST(extract(epoch FROM date_trunc('day', held.now, 'UTC') + interval '24 hours' - held.now) AS float8) AS day_left_s,
  (SELECT count(*) FROM assessments AS other
    WHERE other.user_id = learner.user_id AND other.role_id = learner.role_id
      AND other.submitted_at >= date_trunc('day', learner.submitted_at, 'UTC')
      AND (other.submitted_at, other.id) <= (learner.submitted_at, learner.id)) AS attempt
FROM learner LEFT JOIN held ON true
""")

# Returns no row when the budget does not allow the call; the caller then rolls the claim back.
_CLAIM: Final = text("""
WITH claimed AS (
  UPDATE model_answers SET status = 'intended', lease_until = clock_timestamp() + make_interval(secs => :lease_s),
    reserved_cents = :cents, reserved_on = :today
  WHERE id = :id
  RETURNING lease_until
)
INSERT INTO model_spending AS spending (organization_id, day, cents)
SELECT :organization_id, :today, :cents
WHERE CAST(:budget AS numeric) IS NULL OR :cents <= CAST(:budget AS numeric)
ON CONFLICT (organization_id, day) DO UPDATE SET cents = spending.cents + excluded.cents
WHERE CAST(:budget AS numeric) IS NULL OR spending.cents + excluded.cents <= CAST(:budget AS numeric)
RETURNING (SELECT lease_until FROM claimed)
""")

_RETURN_RESERVATION: Final = (
    update(_spending)
    .where(
        _answers.c.id == bindparam("answer"),
        _spending.c.organization_id == bindparam("organization"),
        _spending.c.day == _answers.c.reserved_on,
    )
    .values(cents=_spending.c.cents - _answers.c.reserved_cents)
)

# The first reply is stored. A later one, of a call whose lease expired, was paid for too, so it is booked without its
# text. Prices that are unknown are left out of the sum.
_KEEP: Final = text("""
WITH learner AS (
  SELECT assessments.organization_id, users.status IN ('erasing', 'erased') AS erased
  FROM assessments JOIN users ON users.id = assessments.user_id
  WHERE assessments.id = :assessment_id
  FOR SHARE OF users
), held AS (
  SELECT answer.id, answer.status, answer.raw_reply, answer.reserved_cents, answer.reserved_on, learner.organization_id
  FROM model_answers AS answer CROSS JOIN learner
  WHERE answer.id = :id AND CAST(:reply_id AS uuid) <> ALL(answer.booked_replies) AND NOT learner.erased
  FOR UPDATE OF answer
), kept AS (
  UPDATE model_answers AS answer SET status = 'answered', lease_until = NULL, reserved_cents = 0,
    raw_reply = :raw, request_id = :request_id, latency_ms = :latency_ms, prompt_tokens = :prompt_tokens,
    cached_tokens = :cached_tokens, completion_tokens = :completion_tokens, cost_cents = :cost_cents,
    booked_replies = ARRAY[CAST(:reply_id AS uuid)], answered_at = clock_timestamp()
  FROM held WHERE answer.id = held.id AND held.status <> 'answered'
), added AS (
  UPDATE model_answers AS answer
  SET cost_cents = coalesce(answer.cost_cents + CAST(:cost_cents AS numeric), answer.cost_cents, :cost_cents),
    booked_replies = answer.booked_replies || CAST(:reply_id AS uuid)
  FROM held WHERE answer.id = held.id AND held.status = 'answered'
), booked AS (
  UPDATE model_spending AS spending
  SET cents = spending.cents - held.reserved_cents + coalesce(CAST(:cost_cents AS numeric), 0)
  FROM held WHERE spending.organization_id = held.organization_id AND spending.day = held.reserved_on
)
SELECT learner.erased, answer.id AS intended, coalesce(held.raw_reply, answer.raw_reply) AS raw_reply FROM learner
LEFT JOIN held ON true
LEFT JOIN model_answers AS answer ON answer.id = :id  -- reads the row before this update
""")

_RELEASE: Final = text("""
WITH held AS (
  SELECT answer.id, answer.reserved_cents, answer.reserved_on, assessments.organization_id
  FROM model_answers AS answer JOIN assessments ON assessments.id = answer.assessment_id
  WHERE answer.id = :id AND answer.status = 'intended' AND answer.lease_until = :claim
  FOR UPDATE OF answer
), freed AS (
  UPDATE model_answers AS answer SET status = 'failed', lease_until = NULL, reserved_cents = 0
  FROM held WHERE answer.id = held.id
)
UPDATE model_spending AS spending SET cents = spending.cents - held.reserved_cents
FROM held WHERE spending.organization_id = held.organization_id AND spending.day = held.reserved_on
""")

_EPOCHS: Final = (
    select(_answers.c.question_snapshot_id, func.max(_answers.c.epoch).label("epoch"))
    .where(_answers.c.assessment_id == bindparam("assessment_id"))
    .group_by(_answers.c.question_snapshot_id)
)

# The sum is unknown when one price is unknown.
_SPENT: Final = (
    select(
        _answers.c.question_snapshot_id,
        func.sum(_answers.c.latency_ms).label("latency_ms"),
        case((func.count() == func.count(_answers.c.cost_cents), func.sum(_answers.c.cost_cents))).label("cost_cents"),
    )
    .where(_ANSWERED, _answers.c.assessment_id == bindparam("assessment_id"))
    .group_by(_answers.c.question_snapshot_id)
)


class SqlModelAnswers(Repository):
    """`reserve` needs a transaction, which is rolled back when it raises. Every other method is one statement."""

    async def replies(self, key: CompletionKey) -> dict[Call, bytes]:
        rows = await self._session.execute(_REPLIES, _question(key))
        # A reply deleted by retention reads as empty; it still counts as paid for.
        return {Call(row.sample, row.round, Variant(row.variant)): row.raw_reply or b"" for row in rows}

    async def reserve(self, reservation: Reservation, limits: SpendingLimits) -> datetime:
        held = await self._hold(reservation.key)
        if limits.attempts_per_day is not None and held.attempt > limits.attempts_per_day:
            raise AttemptsExceeded(
                f"Assessment {reservation.key.assessment_id} is attempt {held.attempt} of that day;"
                f" the limit is {limits.attempts_per_day}"
            )
        if held.reserved_cents:  # by an expired lease, possibly of another day
            await self._session.execute(
                _RETURN_RESERVATION, {"answer": reservation.key.id, "organization": held.organization_id}
            )
        price = reservation.highest_price_cents
        claim = {
            "id": reservation.key.id,
            "lease_s": reservation.lease_s,
            "organization_id": held.organization_id,
            "today": held.today,
            "cents": SMALLEST_CENTS if price is None else price,
            "budget": limits.budget_cents_per_day,
        }
        lease_until: datetime | None = (await self._session.execute(_CLAIM, claim)).scalar_one_or_none()
        if lease_until is None:
            raise BudgetSpent(
                f"The budget of organization {held.organization_id} for {held.today} (UTC) is spent",
                retry_after_s=held.day_left_s,
            )
        return lease_until

    async def record(self, key: CompletionKey, answer: Completion) -> bytes:
        reply: dict[str, Any] = {
            "reply_id": answer.id,
            "raw": answer.raw,
            "request_id": answer.request_id,
            "latency_ms": answer.latency_ms,
            "prompt_tokens": answer.prompt_tokens,
            "cached_tokens": answer.cached_tokens,
            "completion_tokens": answer.completion_tokens,
            "cost_cents": answer.cost_cents,
        }
        row = (
            await self._session.execute(_KEEP, {"id": key.id, "assessment_id": key.assessment_id, **reply})
        ).one_or_none()
        if row is not None and row.erased:
            raise _erased(key)
        if row is None or not row.intended:
            raise NotFound(f"Reply {key.id} was not reserved")
        return answer.raw if row.raw_reply is None else bytes(row.raw_reply)

    async def release(self, key: CompletionKey, claim: datetime) -> None:
        await self._session.execute(_RELEASE, {"id": key.id, "claim": claim})

    async def epochs(self, assessment_id: UUID) -> dict[UUID, int]:
        rows = await self._session.execute(_EPOCHS, {"assessment_id": assessment_id})
        return {row.question_snapshot_id: row.epoch for row in rows}

    async def spent(self, assessment_id: UUID) -> dict[UUID, Spent]:
        rows = await self._session.execute(_SPENT, {"assessment_id": assessment_id})
        return {row.question_snapshot_id: Spent(latency_ms=row.latency_ms, cost_cents=row.cost_cents) for row in rows}

    async def _hold(self, key: CompletionKey) -> AnyRow:
        """Lock the reply's row.

        Raises:
            NotFound: the assessment does not exist.
            Erased: the user is being erased.
            Conflict: the reply is already stored.
            AnswerAwaited: another worker has an unexpired lease on it.
        """
        call = {"id": key.id, "sample": key.call.sample, "round": key.call.round, "variant": key.call.variant.value}
        held = (await self._session.execute(_HOLD, _question(key) | call)).one_or_none()
        if held is None:
            raise NotFound(f"Assessment {key.assessment_id} does not exist")
        if held.erased:
            raise _erased(key)
        if held.status == "answered":
            raise Conflict(f"Reply {key.id} is already stored")
        if held.lease_left_s is not None and held.lease_left_s > 0:
            raise AnswerAwaited(f"Another worker is requesting reply {key.id}", retry_after_s=held.lease_left_s)
        return held


def _question(key: CompletionKey) -> dict[str, Any]:
    return {
        "assessment_id": key.assessment_id,
        "snapshot_id": key.snapshot_id,
        "rubric_version": key.rubric_version,
        "prompt_hash": key.prompt_hash,
        "model": key.model,
        "epoch": key.epoch,
    }


def _erased(key: CompletionKey) -> Erased:
    return Erased(f"Assessment {key.assessment_id} belongs to an erased user")
