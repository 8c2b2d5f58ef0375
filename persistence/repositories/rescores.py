# ruff: noqa: S608  # statements are put together from fragments of this code only
"""The repository of re-scores. A batch moves the cursor and stores its differences in one transaction."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import RowMapping, TextClause, text

from domain.assessments.questions import Question
from domain.errors import NotFound
from domain.grading.scores import EssayScore
from domain.rescores.comparison import PublishedResult
from domain.rescores.differences import Comparison, Proposal
from domain.rescores.ports import ChosenDifference, PendingDifference, UngradedAssessment
from domain.rescores.rescores import Rescore, RescoreScope, RescoreStatus, SkipReason
from persistence.repositories import audit, mappers
from persistence.repositories.base import Repository
from persistence.repositories.bulk import insert_rows
from persistence.repositories.documents import decode, encode
from persistence.repositories.published_results import published_results
from persistence.tables import RescoreDifferenceRow

_FIRST: Final = UUID(int=0)

_COLUMNS: Final = """id, organization_id, role_id, question_id, since, versions, scope, status, created_at, cursor,
  total, done, cents, stop_reason"""
RESCORE: Final = f"SELECT {_COLUMNS} FROM rescores WHERE id = :id"
_RESCORE: Final = text(RESCORE)
_WORKING: Final = text(f"""
SELECT {_COLUMNS} FROM rescores
WHERE status IN ('queued', 'computing', 'applying', 'discarding') AND id > :after ORDER BY id LIMIT :limit
""")
_QUESTIONS: Final = text("""
SELECT id AS question_id, prompt, answer_format, rubric, weight, version FROM questions
WHERE active AND (id = :question_id OR role_id = :role_id)
""")

# An erasure that began earlier is visible here; one that begins later waits for the locks and then finds the rows.
_LOCK_LEARNERS: Final = text("""
SELECT a.id FROM assessments AS a JOIN users ON users.id = a.user_id
WHERE a.id = ANY(:ids) AND users.status NOT IN ('erasing', 'erased')
ORDER BY users.id FOR SHARE OF users
""")
_MOVE_CURSOR: Final = text("""
UPDATE rescores SET cursor = :last, done = done + :finished, updated_at = clock_timestamp()
WHERE id = :id AND status = 'computing' AND cursor IS NOT DISTINCT FROM CAST(:before AS uuid)
RETURNING id
""")
_PENDING: Final = text("""
SELECT assessment_id, essays FROM rescore_differences
WHERE rescore_id = :id AND status = 'pending' ORDER BY assessment_id
""")
_ADD_ESSAY: Final = text("""
UPDATE rescore_differences SET essays = essays || jsonb_build_object(CAST(:essay AS text), CAST(:score AS jsonb))
WHERE rescore_id = :id AND assessment_id = :assessment_id AND status = 'pending'
""")
_FINISHED: Final = ("status", "outcome", "run", "revision", "old_points", "new_points", "reached_target")
_FINISHED_TOO: Final = ("missed_target", "not_comparable", "difference", "proposal")
_FINISH: Final = text(f"""
UPDATE rescore_differences AS row
SET essays = NULL, {", ".join(f"{name} = new.{name}" for name in (*_FINISHED, *_FINISHED_TOO))}
FROM json_populate_recordset(NULL::rescore_differences, CAST(:rows AS json)) AS new
WHERE row.rescore_id = :id AND row.assessment_id = new.assessment_id AND row.status = 'pending'
RETURNING row.assessment_id
""")
_DROP: Final = text("""
DELETE FROM rescore_differences WHERE rescore_id = :id AND assessment_id = ANY(:ids) AND status = 'pending'
RETURNING assessment_id
""")
# Each assessment of a batch is counted once, when its difference is finished or dropped.
_PROGRESS: Final = text("""
UPDATE rescores AS r SET done = done + :finished, updated_at = clock_timestamp(),
  cents = cents + CASE WHEN scope <> 'essays' THEN 0 ELSE coalesce((
    SELECT sum(cost_cents) FROM model_answers
    WHERE assessment_id = ANY(:ids) AND status = 'answered' AND answered_at >= r.created_at), 0) END
WHERE id = :id
""")
_END_COMPUTATION: Final = text("""
UPDATE rescores SET status = CASE WHEN CAST(:reason AS text) IS NULL THEN 'computed' ELSE 'stopped' END,
  stop_reason = coalesce(CAST(:reason AS text), stop_reason),
  total = CASE WHEN CAST(:reason AS text) IS NULL THEN done ELSE total END,
  computed_at = coalesce(computed_at, clock_timestamp()), updated_at = clock_timestamp()
WHERE id = :id AND (status IN ('queued', 'computing') OR status = 'applying' AND CAST(:reason AS text) IS NOT NULL)
RETURNING organization_id, done
""")
_DELETE_PENDING: Final = text("DELETE FROM rescore_differences WHERE rescore_id = :id AND status = 'pending'")
_RELEASE: Final = text(
    "UPDATE rescore_differences SET status = 'computed' WHERE rescore_id = :id AND status = 'applying'"
)
_NEXT_CHOSEN: Final = text("""
SELECT assessment_id FROM rescore_differences WHERE rescore_id = :id AND status = 'applying'
ORDER BY assessment_id LIMIT :limit
""")
_CHOSEN: Final = text("""
SELECT run, revision, proposal FROM rescore_differences
WHERE rescore_id = :id AND assessment_id = :assessment_id AND status = 'applying' FOR UPDATE
""")
_APPLIED: Final = text("""
UPDATE rescore_differences SET status = 'applied', applied_revision = :revision, proposal = NULL
WHERE rescore_id = :id AND assessment_id = :assessment_id AND status = 'applying'
""")
_SCORED_VERSIONS: Final = text("""
UPDATE assessment_question_snapshots AS item
SET scored_version = CASE WHEN item.version = new.value THEN NULL ELSE new.value END
FROM jsonb_each_text(CAST(:versions AS jsonb)) AS new
WHERE item.id = CAST(new.key AS uuid) AND item.assessment_id = :assessment_id
""")
_SKIPPED: Final = text("""
UPDATE rescore_differences SET status = 'skipped', skip_reason = :reason, proposal = NULL
WHERE rescore_id = :id AND assessment_id = :assessment_id AND status = 'applying'
""")
_END_APPLICATION: Final = text("""
UPDATE rescores SET status = CASE WHEN stop_reason IS NULL THEN 'computed' ELSE 'stopped' END,
  updated_at = clock_timestamp()
WHERE id = :id AND status = 'applying'
  AND NOT EXISTS (SELECT FROM rescore_differences WHERE rescore_id = :id AND status = 'applying')
""")
_DELETE: Final = text("""
DELETE FROM rescore_differences WHERE (rescore_id, assessment_id) IN (
  SELECT rescore_id, assessment_id FROM rescore_differences WHERE rescore_id = :id LIMIT :limit)
RETURNING assessment_id
""")
_DISCARDED: Final = text(
    "UPDATE rescores SET status = 'discarded', updated_at = clock_timestamp() WHERE id = :id AND status = 'discarding'"
)


class SqlRescores(Repository):
    async def get(self, rescore_id: UUID) -> Rescore:
        row = (await self._session.execute(_RESCORE, {"id": rescore_id})).mappings().one_or_none()
        if row is None:
            raise NotFound(f"Re-score {rescore_id} does not exist")
        return rescore_of(row)

    async def questions(self, rescore: Rescore) -> dict[UUID, Question]:
        wanted = {"question_id": rescore.question_id, "role_id": rescore.role_id}
        rows = await self._session.execute(_QUESTIONS, wanted)
        return {row.question_id: mappers.question(row) for row in rows}

    async def begin(self, rescore: Rescore) -> None:
        await self._session.execute(_begin(_conditions(rescore)), _bounds(rescore))

    async def next_results(self, rescore: Rescore, limit: int) -> tuple[PublishedResult, ...]:
        page = {**_bounds(rescore), "after": rescore.cursor or _FIRST, "limit": limit}
        conditions = (*_conditions(rescore), "a.id > :after")
        return await published_results(self._session, conditions, page)

    async def results(self, assessment_ids: Sequence[UUID]) -> tuple[PublishedResult, ...]:
        wanted = {"ids": list(assessment_ids), "limit": len(assessment_ids)}
        return await published_results(self._session, ("a.status = 'completed'", "a.id = ANY(:ids)"), wanted)

    async def add_batch(
        self, rescore: Rescore, finished: Sequence[Comparison], pending: Sequence[UngradedAssessment]
    ) -> bool:
        ids = sorted([each.assessment_id for each in finished] + [each.assessment_id for each in pending])
        kept = set(await self._session.scalars(_LOCK_LEARNERS, {"ids": ids}))
        cursor = {"id": rescore.id, "before": rescore.cursor, "last": ids[-1], "finished": len(finished)}
        if (await self._session.execute(_MOVE_CURSOR, cursor)).one_or_none() is None:
            return False
        complete = [_finished_row(rescore.id, each) for each in finished if each.assessment_id in kept]
        await insert_rows(self._session, {RescoreDifferenceRow: complete}, skip_existing=True)
        waiting = [_pending_row(rescore.id, each) for each in pending if each.assessment_id in kept]
        await insert_rows(self._session, {RescoreDifferenceRow: waiting}, skip_existing=True)
        return True

    async def pending(self, rescore_id: UUID) -> tuple[PendingDifference, ...]:
        rows = await self._session.execute(_PENDING, {"id": rescore_id})
        return tuple(_pending(row.assessment_id, row.essays) for row in rows)

    async def add_essay(self, rescore_id: UUID, assessment_id: UUID, score: EssayScore) -> None:
        stored = {"essay": str(score.snapshot_id), "score": to_json(encode(score)).decode()}
        await self._session.execute(_ADD_ESSAY, {"id": rescore_id, "assessment_id": assessment_id, **stored})

    async def finish_batch(self, rescore: Rescore, finished: Sequence[Comparison], dropped: Sequence[UUID]) -> None:
        rows = to_json([_finished_row(rescore.id, each) for each in finished]).decode()
        done = list(await self._session.scalars(_FINISH, {"id": rescore.id, "rows": rows})) if finished else []
        gone = list(await self._session.scalars(_DROP, {"id": rescore.id, "ids": list(dropped)})) if dropped else []
        progress = {"id": rescore.id, "ids": [*done, *gone], "finished": len(done)}
        await self._session.execute(_PROGRESS, progress)

    async def end_computation(self, rescore_id: UUID, stop_reason: str | None = None) -> None:
        ended = await self._session.execute(_END_COMPUTATION, {"id": rescore_id, "reason": stop_reason})
        row = ended.one_or_none()
        if row is None:
            return
        for statement in (_DELETE_PENDING, _RELEASE):
            await self._session.execute(statement, {"id": rescore_id})
        action = "rescore.stopped" if stop_reason else "rescore.computed"
        details = {"assessments": row.done} | ({"reason": stop_reason} if stop_reason else {})
        await audit.record(self._session, None, action, "rescore", rescore_id, row.organization_id, **details)

    async def next_chosen(self, rescore_id: UUID, limit: int) -> tuple[UUID, ...]:
        return tuple(await self._session.scalars(_NEXT_CHOSEN, {"id": rescore_id, "limit": limit}))

    async def chosen(self, rescore_id: UUID, assessment_id: UUID) -> ChosenDifference | None:
        wanted = {"id": rescore_id, "assessment_id": assessment_id}
        row = (await self._session.execute(_CHOSEN, wanted)).one_or_none()
        if row is None:
            return None
        return ChosenDifference(run=row.run, revision=row.revision, proposal=decode(Proposal, row.proposal))

    async def applied(self, rescore_id: UUID, assessment_id: UUID, revision: int, proposal: Proposal) -> None:
        wanted = {"id": rescore_id, "assessment_id": assessment_id, "revision": revision}
        await self._session.execute(_APPLIED, wanted)
        if proposal.versions:
            versions = to_json({str(item): version for item, version in proposal.versions.items()}).decode()
            await self._session.execute(_SCORED_VERSIONS, {"versions": versions, "assessment_id": assessment_id})

    async def skipped(self, rescore_id: UUID, assessment_id: UUID, reason: SkipReason) -> None:
        wanted = {"id": rescore_id, "assessment_id": assessment_id, "reason": reason.value}
        await self._session.execute(_SKIPPED, wanted)

    async def end_application(self, rescore_id: UUID) -> None:
        await self._session.execute(_END_APPLICATION, {"id": rescore_id})

    async def delete_differences(self, rescore_id: UUID, *, limit: int) -> int:
        deleted = len((await self._session.scalars(_DELETE, {"id": rescore_id, "limit": limit})).all())
        if not deleted:
            await self._session.execute(_DISCARDED, {"id": rescore_id})
        return deleted

    async def working(self, *, after: UUID | None, limit: int) -> tuple[Rescore, ...]:
        rows = await self._session.execute(_WORKING, {"after": after or _FIRST, "limit": limit})
        return tuple(rescore_of(row) for row in rows.mappings())


def rescore_of(row: RowMapping) -> Rescore:
    """Convert a row with the columns of `RESCORE`."""
    values: dict[str, Any] = {name: row[name] for name in ("id", "organization_id", "role_id", "question_id", "since")}
    values |= {name: row[name] for name in ("cursor", "total", "done", "cents", "stop_reason")}
    return Rescore(
        versions=tuple(row["versions"]),
        scope=RescoreScope(row["scope"]),
        status=RescoreStatus(row["status"]),
        requested_at=row["created_at"],
        **values,
    )


@cache
def _begin(conditions: tuple[str, ...]) -> TextClause:
    return text(f"""
UPDATE rescores SET status = 'computing', updated_at = clock_timestamp(), total = (
  SELECT count(*) FROM assessments AS a JOIN users ON users.id = a.user_id
  WHERE users.status NOT IN ('erasing', 'erased') AND {" AND ".join(conditions)})
WHERE rescores.id = :id AND rescores.status = 'queued'
""")


def _conditions(rescore: Rescore) -> tuple[str, ...]:
    """Return the conditions for the assessments of a re-score. Unused ones are left out, for the planner."""
    found = [
        "a.organization_id = :organization_id",
        "a.status = 'completed'",
        "a.completed_at <= :requested_at",
    ]
    if rescore.since is not None:
        found.append("a.completed_at >= :since")
    if rescore.role_id is not None:
        found.append("a.role_id = :role_id")
    asked = []
    if rescore.question_id is not None:
        asked.append("item.question_id = :question_id")
    if rescore.versions:
        asked.append("coalesce(item.scored_version, item.version) = ANY(:versions)")
    if asked:
        items = "SELECT FROM assessment_question_snapshots AS item WHERE item.assessment_id = a.id"
        found.append(f"EXISTS ({' AND '.join([items, *asked])})")
    return tuple(found)


def _bounds(rescore: Rescore) -> dict[str, Any]:
    values = {
        "since": rescore.since,
        "role_id": rescore.role_id,
        "question_id": rescore.question_id,
        "versions": list(rescore.versions) or None,
    }
    return {
        "id": rescore.id,
        "organization_id": rescore.organization_id,
        "requested_at": rescore.requested_at,
        **{name: value for name, value in values.items() if value is not None},
    }


def _finished_row(rescore_id: UUID, comparison: Comparison) -> Mapping[str, Any]:
    difference = comparison.difference
    return {
        "rescore_id": rescore_id,
        "assessment_id": comparison.assessment_id,
        "run": comparison.run,
        "revision": comparison.revision,
        "status": "computed",
        "outcome": comparison.outcome.value,
        "old_points": comparison.old_points,
        "new_points": comparison.new_points,
        "reached_target": bool(difference.reached_targets),
        "missed_target": bool(difference.missed_targets),
        "not_comparable": bool(difference.problem) or any(item.not_comparable for item in difference.items),
        "difference": encode(difference),
        "proposal": encode(comparison.proposal) if comparison.proposal else None,
        "created_at": "now",
    }


def _pending_row(rescore_id: UUID, ungraded: UngradedAssessment) -> Mapping[str, Any]:
    return {
        "rescore_id": rescore_id,
        "assessment_id": ungraded.assessment_id,
        "run": ungraded.run,
        "revision": ungraded.revision,
        "status": "pending",
        "essays": {str(essay): None for essay in ungraded.essays},
        "reached_target": False,
        "missed_target": False,
        "not_comparable": False,
        "created_at": "now",
    }


def _pending(assessment_id: UUID, essays: Mapping[str, Any]) -> PendingDifference:
    return PendingDifference(
        assessment_id=assessment_id,
        graded=tuple(decode(EssayScore, score) for score in essays.values() if score is not None),
        ungraded=tuple(UUID(essay) for essay, score in essays.items() if score is None),
    )
