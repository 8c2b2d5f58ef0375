"""Backlog metrics: how much work waits and how long. One statement over partial indexes."""

from dataclasses import dataclass
from typing import Final

from sqlalchemy import text

from domain.healing import Provider
from persistence.queries.reader import Reader

_WORK: Final = text("""
SELECT
  unfinished.number AS assessments_unfinished,
  unfinished.age_s AS oldest_unfinished_s,
  (SELECT count(*) FROM assessments WHERE healing = 'due') AS assessments_healing,
  healing.model AS results_awaiting_model,
  healing.search AS results_awaiting_search,
  reviews.number AS essays_awaiting_review,
  reviews.age_s AS oldest_review_s,
  deliveries.number AS deliveries_pending,
  deliveries.late_s AS oldest_delivery_late_s
FROM
  (SELECT count(*) AS number, coalesce(extract(epoch FROM now() - min(submitted_at)), 0)::float8 AS age_s
   FROM assessments WHERE status = 'awaiting_async') AS unfinished,
  (SELECT count(*) FILTER (WHERE published.degraded_reasons && CAST(:model AS text[])) AS model,
     count(*) FILTER (WHERE published.degraded_reasons && CAST(:search AS text[])) AS search
   FROM assessments JOIN recommendations AS published ON published.assessment_id = assessments.id
   WHERE healing = 'due') AS healing,
  (SELECT count(*) AS number, coalesce(extract(epoch FROM now() - min(submitted_at)), 0)::float8 AS age_s
   FROM review_items WHERE waiting AND priority < 2) AS reviews,
  (SELECT count(*) AS number, greatest(extract(epoch FROM now() - min(next_attempt_at)), 0)::float8 AS late_s
   FROM webhook_deliveries WHERE status = 'pending') AS deliveries
""")

_PROVIDERS: Final = {
    "model": [reason.value for reason in Provider.LANGUAGE_MODEL.reasons],
    "search": [reason.value for reason in Provider.SEARCH.reasons],
}

# Only the oldest submitted assessments are read, because stuck ones are among them. Only steps that have begun count; a
# step that waits for an earlier step does not block anything.
_STEPS: Final = text("""
SELECT job_type AS step, max(extract(epoch FROM now() - queued_at))::float8 AS oldest_s,
  sum(lost_attempts)::int AS lost_attempts
FROM (
  SELECT id, run FROM assessments WHERE status = 'awaiting_async' ORDER BY submitted_at LIMIT 100
) AS oldest JOIN async_jobs AS job ON job.assessment_id = oldest.id AND job.run = oldest.run
WHERE attempts > 0 AND status <> 'succeeded'
GROUP BY job_type ORDER BY job_type
""")


_SWEEPS: Final = text("""
SELECT concern, extract(epoch FROM now() - swept_at)::float8 AS age_s FROM sweeps ORDER BY concern
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepView:
    """The time since the last sweep of a concern ended, in seconds."""

    concern: str
    age_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """A step that blocks submitted assessments: the age of the oldest in seconds, and the lost attempts."""

    step: str
    oldest_s: float
    lost_attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkView:
    """Sizes and ages of the backlog; ages in seconds.

    `oldest_unfinished_s`: since the oldest submission without a result. `results_awaiting_…`: degraded results that
    wait for that provider. `essays_awaiting_review` counts doubtful and appealed essays without audit samples,
    `oldest_review_s` is the time since the oldest of their hand-ins.
    `oldest_delivery_late_s`: how long the most overdue delivery is overdue.
    """

    assessments_unfinished: int
    oldest_unfinished_s: float
    assessments_healing: int
    results_awaiting_model: int
    results_awaiting_search: int
    essays_awaiting_review: int
    oldest_review_s: float
    deliveries_pending: int
    oldest_delivery_late_s: float


class WorkQueries(Reader):
    async def waiting(self) -> WorkView:
        """Return the size and age of the backlog.

        Raises:
            StorageUnavailable: the database is unreachable or overloaded.
        """
        async with self._connection() as connection:
            row = (await connection.execute(_WORK, _PROVIDERS)).mappings().one()
        return WorkView(**row)

    async def sweeps(self) -> list[SweepView]:
        """Return when the last sweep of each concern of reconciliation ended.

        Raises:
            StorageUnavailable: the database is unreachable or overloaded.
        """
        async with self._connection() as connection:
            rows = (await connection.execute(_SWEEPS)).mappings().all()
        return [SweepView(**row) for row in rows]

    async def steps(self) -> list[StepView]:
        """Return the begun and unfinished steps of the 100 oldest submitted assessments without a result.

        Raises:
            StorageUnavailable: the database is unreachable or overloaded.
        """
        async with self._connection() as connection:
            rows = (await connection.execute(_STEPS)).mappings().all()
        return [StepView(**row) for row in rows]
