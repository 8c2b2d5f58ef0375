# ruff: noqa: S608  # statements are put together from fragments of this file only
"""Delete old data in small batches: no statement reads or locks many rows, however many rows there are.

A batch looks at the oldest rows after a cursor, in an index that ends with the rows that a rule has not yet processed.
Of these it deletes or blanks the rows that nothing needs any more. Rows that are locked wait for the next run.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import TextClause, text

from domain.privacy import RetentionBatch, RetentionCursor, RetentionRule
from persistence.repositories.base import Repository

_START: Final = RetentionCursor(at=datetime.min.replace(tzinfo=UTC), id=UUID(int=0), organization_id=UUID(int=0))

# Assessments whose answers will not be used again. A held result may still be reviewed. The age counts from the time
# when the student saw the result, because the student may contest it after that.
_SETTLED: Final = """(assessment.status = 'failed' OR assessment.status = 'completed' AND assessment.healing <> 'due'
    AND assessment.released_revision IS NULL
    AND NOT EXISTS (SELECT FROM appeals WHERE appeals.assessment_id = assessment.id AND appeals.state = 'open'))"""
_AGE: Final = "coalesce(assessment.released_at, assessment.completed_at, assessment.updated_at)"
_ASSESSMENT: Final = "JOIN assessments AS assessment ON assessment.id = old.assessment_id"

# The last row of a full batch is the next cursor. A batch that is not full has reached the last old row.
_OUTCOME: Final = """
SELECT done.deleted, last.* FROM (SELECT count(*) AS deleted FROM done) AS done LEFT JOIN (
  SELECT organization_id, at, cursor_id FROM candidates ORDER BY organization_id, at, cursor_id OFFSET :limit - 1
) AS last ON true
"""


def _rule(  # noqa: PLR0913  # the parts of a statement
    table: str,
    time: str,
    *,
    keys: Sequence[str] = ("id",),
    where: str = "true",
    join: str = "",
    settled: str = "true",
    blank: str | None = None,
) -> TextClause:
    """Delete rows that are older than :days by the column `time`, or set them to `blank`.

    `where` is about the row itself and is the condition of its index; `settled` may be about joined rows, too. `keys`
    identify a row; the cursor has the last of them.
    """
    columns = ", ".join(f"old.{key}" for key in keys)
    looked_at = " AND ".join(f"old.{key} = candidates.{key}" for key in keys)
    chosen = " AND ".join(f"old.{key} = chosen.{key}" for key in keys)
    change = f"UPDATE {table} AS old SET {blank} FROM" if blank else f"DELETE FROM {table} AS old USING"
    return text(f"""
WITH candidates AS (
  SELECT CAST(NULL AS uuid) AS organization_id, old.{time} AS at, {columns}, old.{keys[-1]} AS cursor_id
  FROM {table} AS old
  WHERE {where} AND old.{time} < now() - make_interval(days => :days) AND (old.{time}, old.{keys[-1]}) > (:at, :id)
  ORDER BY old.{time}, old.{keys[-1]} LIMIT :limit
), chosen AS (
  SELECT {columns} FROM candidates JOIN {table} AS old ON {looked_at} AND old.{time} = candidates.at {join}
  WHERE {where} AND {settled} FOR UPDATE OF old SKIP LOCKED
), done AS (
  {change} chosen WHERE {chosen} RETURNING 1
)
{_OUTCOME}""")


_ALWAYS: Final = frozenset(
    {
        RetentionRule.IDEMPOTENCY_KEYS,
        RetentionRule.REFRESH_TOKENS,
        RetentionRule.ANSWERS,  # organizations may set their own limit
    }
)
_RULES: Final = {
    RetentionRule.IDEMPOTENCY_KEYS: _rule("idempotency_keys", "expires_at"),
    RetentionRule.REFRESH_TOKENS: _rule("refresh_tokens", "expires_at"),
    RetentionRule.WEBHOOK_ATTEMPTS: _rule("webhook_attempts", "started_at"),
    RetentionRule.WEBHOOK_EVENTS: _rule("webhook_events", "created_at", where="old.status <> 'pending'"),
    RetentionRule.JOBS: _rule("async_jobs", "completed_at", join=_ASSESSMENT, settled=_SETTLED),
    RetentionRule.DENIALS: _rule("denied_requests", "hour", keys=("hour", "user_id")),
    RetentionRule.MODEL_REPLIES: _rule(
        "model_answers",
        "answered_at",
        where="old.raw_reply IS NOT NULL",
        join=_ASSESSMENT,
        settled=_SETTLED,
        blank="raw_reply = NULL, request_id = NULL",
    ),
    RetentionRule.RESCORES: _rule(
        "rescore_differences",
        "created_at",
        keys=("rescore_id", "assessment_id"),
        join="JOIN rescores ON rescores.id = old.rescore_id",
        settled="rescores.status NOT IN ('queued', 'computing', 'applying')",
    ),
    # The order is that of the index, by the time of the start: the answers are at least as old as their age says. A
    # doubtful or appealed essay keeps its assessment's answers until it is reviewed. An audit sample does not.
    RetentionRule.ANSWERS: text(f"""
WITH candidates AS (
  SELECT assessment.* FROM (
    SELECT id, coalesce(answers_kept_days, nullif(:days, 0)) AS days FROM organizations
    WHERE id >= :organization_id ORDER BY id
  ) AS organization CROSS JOIN LATERAL (
    SELECT organization_id, created_at AS at, id AS cursor_id FROM assessments
    WHERE organization_id = organization.id AND created_at < now() - make_interval(days => organization.days)
      AND answers_deleted_at IS NULL AND status IN ('completed', 'failed') AND NOT needs_review
      AND (created_at, id) > (
        CASE organization.id WHEN :organization_id THEN :at ELSE '-infinity' END,
        CASE organization.id WHEN :organization_id THEN :id ELSE '00000000-0000-0000-0000-000000000000' END)
    ORDER BY created_at, id LIMIT :limit
  ) AS assessment
  WHERE organization.days IS NOT NULL ORDER BY organization.id, at, cursor_id LIMIT :limit
), chosen AS (
  SELECT assessment.id FROM candidates JOIN assessments AS assessment ON assessment.id = candidates.cursor_id
  JOIN organizations AS organization ON organization.id = assessment.organization_id
  WHERE {_SETTLED} AND NOT assessment.needs_review
    AND NOT EXISTS (SELECT FROM review_items AS item WHERE item.assessment_id = assessment.id
      AND item.reasons <> '{{audit_sample}}')
    AND {_AGE} < now() - make_interval(days => coalesce(organization.answers_kept_days, nullif(:days, 0)))
  FOR UPDATE OF assessment SKIP LOCKED
), marked AS (
  UPDATE assessments SET answers_deleted_at = now() FROM chosen WHERE assessments.id = chosen.id
), blanked AS (
  UPDATE model_answers SET raw_reply = NULL, request_id = NULL FROM chosen WHERE assessment_id = chosen.id
), appeals_blanked AS (
  UPDATE appeals SET reason = NULL, message = NULL FROM chosen WHERE assessment_id = chosen.id
), fingerprints AS (
  DELETE FROM answer_shingles AS shingle
  USING chosen JOIN assessment_question_snapshots AS snapshot ON snapshot.assessment_id = chosen.id
  WHERE shingle.question_snapshot_id = snapshot.id
), samples AS (
  DELETE FROM review_items USING chosen WHERE assessment_id = chosen.id
), done AS (
  DELETE FROM assessment_responses USING chosen WHERE assessment_id = chosen.id RETURNING 1
)
{_OUTCOME}"""),
}


class RetentionSettings(BaseSettings):
    """Read `RETENTION_…_DAYS`: the retention of each kind of data in days; 0 keeps it for ever.

    The audit trail is always kept. An organization's own `answers_kept_days` overrides `RETENTION_ANSWERS_DAYS`.
    """

    model_config = SettingsConfigDict(frozen=True, env_prefix="RETENTION_", env_ignore_empty=True, extra="ignore")

    webhook_attempts_days: int = Field(default=30, ge=0)
    webhook_events_days: int = Field(default=90, ge=0)
    jobs_days: int = Field(default=90, ge=0)
    denials_days: int = Field(default=90, ge=0)
    model_replies_days: int = Field(default=365, ge=0)
    rescores_days: int = Field(default=90, ge=0)
    answers_days: int = Field(default=0, ge=0)

    @property
    def days(self) -> Mapping[RetentionRule, int]:
        """Return the days by rule, without the rules that keep everything."""
        named = {rule: getattr(self, f"{rule}_days", 0) for rule in RetentionRule}
        return {rule: days for rule, days in named.items() if days or rule in _ALWAYS}


class SqlRetention(Repository):
    async def apply(
        self, rule: RetentionRule, *, days: int, after: RetentionCursor | None, limit: int
    ) -> RetentionBatch:
        start = after or _START
        given: dict[str, object] = {"days": days, "limit": limit, "at": start.at, "id": start.id}
        if rule is RetentionRule.ANSWERS:
            given["organization_id"] = start.organization_id
        found = (await self._session.execute(_RULES[rule], given)).one()
        cursor = found.at and RetentionCursor(at=found.at, id=found.cursor_id, organization_id=found.organization_id)
        return RetentionBatch(rows=found.deleted, cursor=cursor)
