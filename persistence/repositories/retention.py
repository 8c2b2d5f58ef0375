# ruff: noqa: S608  # statements are put together from fragments of this file only
"""Delete old data in small batches: no statement locks many rows or runs for long.

Old rows are at the start of their tables, so a batch finds its rows quickly; only the last batch reads the whole table.
"""

from collections.abc import Mapping
from typing import Final

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy import CursorResult, TextClause, text

from domain.privacy import RetentionRule
from persistence.repositories.base import Repository

_OLD: Final = "now() - make_interval(days => :days)"

# Assessments whose answers will not be used again. A held result may still be reviewed. The age counts from the time
# when the student saw the result, because the student may contest it after that.
_SETTLED: Final = """(assessment.status = 'failed' OR assessment.status = 'completed' AND assessment.healing <> 'due'
    AND assessment.released_revision IS NULL
    AND NOT EXISTS (SELECT FROM appeals WHERE appeals.assessment_id = assessment.id AND appeals.state = 'open'))"""
_AGE: Final = "coalesce(assessment.released_at, assessment.completed_at, assessment.updated_at)"


def _delete(table: str, chosen: str) -> TextClause:
    """Delete at most `limit` rows of a SELECT of ids; rows that are locked wait for the next batch."""
    return text(f"DELETE FROM {table} WHERE id IN ({chosen} LIMIT :limit FOR UPDATE OF old SKIP LOCKED)")


_ALWAYS: Final = frozenset(
    {
        RetentionRule.IDEMPOTENCY_KEYS,
        RetentionRule.REFRESH_TOKENS,
        RetentionRule.ANSWERS,  # organizations may set their own limit
    }
)
_RULES: Final = {
    RetentionRule.IDEMPOTENCY_KEYS: _delete(
        "idempotency_keys", f"SELECT id FROM idempotency_keys AS old WHERE expires_at < {_OLD}"
    ),
    RetentionRule.REFRESH_TOKENS: _delete(
        "refresh_tokens", f"SELECT id FROM refresh_tokens AS old WHERE expires_at < {_OLD}"
    ),
    RetentionRule.WEBHOOK_ATTEMPTS: _delete(
        "webhook_attempts", f"SELECT id FROM webhook_attempts AS old WHERE started_at < {_OLD}"
    ),
    RetentionRule.WEBHOOK_EVENTS: _delete(
        "webhook_events",
        f"SELECT id FROM webhook_events AS old WHERE status <> 'pending' AND created_at < {_OLD}",
    ),
    RetentionRule.JOBS: _delete(
        "async_jobs",
        "SELECT old.id FROM async_jobs AS old JOIN assessments AS assessment ON assessment.id = old.assessment_id"
        f" WHERE old.completed_at < {_OLD} AND {_SETTLED}",
    ),
    RetentionRule.DENIALS: text(
        "DELETE FROM denied_requests WHERE (user_id, hour) IN ("
        f"SELECT user_id, hour FROM denied_requests WHERE hour < {_OLD} LIMIT :limit)"
    ),
    RetentionRule.MODEL_REPLIES: text(f"""
UPDATE model_answers SET raw_reply = NULL, request_id = NULL WHERE id IN (
  SELECT old.id FROM model_answers AS old JOIN assessments AS assessment ON assessment.id = old.assessment_id
  WHERE old.raw_reply IS NOT NULL AND old.answered_at < {_OLD} AND {_SETTLED}
  LIMIT :limit FOR UPDATE OF old SKIP LOCKED)
"""),
    RetentionRule.RESCORES: text(f"""
DELETE FROM rescore_differences WHERE (rescore_id, assessment_id) IN (
  SELECT old.rescore_id, old.assessment_id FROM rescore_differences AS old JOIN rescores ON rescores.id = old.rescore_id
  WHERE old.created_at < {_OLD} AND rescores.status NOT IN ('queued', 'computing', 'applying')
  LIMIT :limit FOR UPDATE OF old SKIP LOCKED)
"""),
    # A doubtful or appealed essay keeps its assessment's answers until it is reviewed. An audit sample does not.
    RetentionRule.ANSWERS: text(f"""
WITH old AS (
  SELECT assessment.id FROM assessments AS assessment
  JOIN organizations AS organization ON organization.id = assessment.organization_id
  WHERE {_SETTLED} AND NOT assessment.needs_review
    AND NOT EXISTS (SELECT FROM review_items AS item WHERE item.assessment_id = assessment.id
      AND item.reasons <> '{{audit_sample}}')
    AND {_AGE} < now() - make_interval(days => coalesce(organization.answers_kept_days, nullif(:days, 0)))
    AND EXISTS (SELECT FROM assessment_responses AS response WHERE response.assessment_id = assessment.id)
  LIMIT :limit FOR UPDATE OF assessment SKIP LOCKED
), blanked AS (
  UPDATE model_answers SET raw_reply = NULL, request_id = NULL FROM old WHERE assessment_id = old.id
), appeals_blanked AS (
  UPDATE appeals SET reason = NULL, message = NULL FROM old WHERE assessment_id = old.id
), fingerprints AS (
  DELETE FROM answer_shingles AS shingle
  USING old JOIN assessment_question_snapshots AS snapshot ON snapshot.assessment_id = old.id
  WHERE shingle.question_snapshot_id = snapshot.id
), samples AS (
  DELETE FROM review_items USING old WHERE assessment_id = old.id
)
DELETE FROM assessment_responses USING old WHERE assessment_id = old.id
"""),
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
    async def apply(self, rule: RetentionRule, *, days: int, limit: int) -> int:
        done = await self._session.execute(_RULES[rule], {"days": days, "limit": limit})
        assert isinstance(done, CursorResult)  # noqa: S101  # what a statement that writes gives
        return done.rowcount
