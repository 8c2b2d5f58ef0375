"""The repository of `async_jobs`: the state of each step, and its output until it is published."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeVar
from uuid import UUID

from pydantic_core import to_json
from sqlalchemy import bindparam, func, literal_column, select, text, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.ports import Begun, JobKey
from domain.errors import Conflict, Erased, NotFound
from persistence.repositories.bulk import insert_rows
from persistence.repositories.documents import decode, encode
from persistence.repositories.mappers import AnyRow
from persistence.tables import AsyncJobRow
from persistence.tables.base import table_of

Output = TypeVar("Output")

_jobs: Final = table_of(AsyncJobRow)

# A succeeded job is unchanged and returns its output; every other job runs again. A job that is still `running` belongs
# to an attempt whose worker crashed or whose timeout expired: every other end is recorded.
_BEGIN: Final = text("""
INSERT INTO async_jobs AS job (id, assessment_id, run, revision, item, job_type, status, attempts, started_at)
SELECT id, assessment_id, run, revision, item, job_type, 'running', 1, clock_timestamp()
FROM json_populate_recordset(NULL::async_jobs, CAST(:jobs AS json))
ON CONFLICT (id) DO UPDATE SET (status, attempts, lost_attempts, started_at, completed_at) = (
  SELECT CASE WHEN done THEN 'succeeded' WHEN lost AND :pause THEN 'queued' ELSE 'running' END,
    job.attempts + CASE WHEN done OR lost AND :pause THEN 0 ELSE 1 END,
    job.lost_attempts + CASE WHEN lost THEN 1 ELSE 0 END,
    CASE WHEN done OR lost AND :pause THEN job.started_at ELSE clock_timestamp() END,
    CASE WHEN done THEN job.completed_at END
  FROM (SELECT job.status = 'succeeded' AS done, job.status IN ('running', 'stale') AS lost) AS found
)
RETURNING id, status, payload, lost_attempts
""")

# Assessment and user are locked in share mode: many steps may finish at once, but none while a publication clears the
# payloads or an erasure begins. An existing output is never replaced, because later steps may depend on it.
_SUCCEED: Final = text("""
WITH run AS (
  SELECT users.status IN ('erasing', 'erased') AS erased,
    a.run = :run AND a.status IN ('awaiting_async', 'completed') AND a.revision = :revision - 1 AS current
  FROM assessments AS a JOIN users ON users.id = a.user_id
  WHERE a.id = :assessment_id
  FOR SHARE
), closed AS (
  UPDATE async_jobs AS job SET status = 'succeeded', payload = made.payload, error_payload = NULL,
    attempts = greatest(job.attempts, 1), started_at = coalesce(job.started_at, clock_timestamp()),
    completed_at = clock_timestamp()
  FROM run, jsonb_to_recordset(:outputs) AS made (id uuid, payload jsonb)
  WHERE job.id = made.id AND job.status <> 'succeeded' AND run.current AND NOT run.erased
)
SELECT erased, current FROM run
""").bindparams(bindparam("outputs", type_=JSONB))

_QUEUED: Final = {
    "status": "queued",
    "attempts": 0,
    "lost_attempts": 0,
    "payload": None,
    "error_payload": None,
    "completed_at": None,
}

_RELEASE: Final = (
    update(_jobs)
    .where(_jobs.c.id == func.any(bindparam("ids")), _jobs.c.status == "running")
    .values(status="queued", completed_at=None)
)

# A job is still queued if its step begins and ends it in one transaction, which has failed.
_FAIL: Final = (
    update(_jobs)
    .where(_jobs.c.id == func.any(bindparam("ids")), _jobs.c.status.in_(("queued", "running")))
    .values(status="failed", error_payload=bindparam("error"), completed_at=func.clock_timestamp())
)

_OUTPUTS: Final = select(_jobs.c.id, _jobs.c.payload).where(
    _jobs.c.id == func.any(bindparam("ids")), _jobs.c.status == "succeeded"
)

_CLOSE_STALE: Final = (
    update(_jobs)
    .where(
        _jobs.c.status == literal_column("'running'"),
        _jobs.c.started_at < func.now() - func.make_interval(0, 0, 0, 0, 0, 0, bindparam("older_than_s")),
    )
    .values(status="stale", completed_at=func.clock_timestamp())
)


class SqlJobs:
    def __init__(self, session: AsyncSession) -> None:
        self._session = session

    async def enqueue(self, keys: Sequence[JobKey]) -> None:
        rows = [_identity(key) | {"status": "queued", "attempts": 0} for key in keys]
        await insert_rows(self._session, {AsyncJobRow: rows}, skip_existing=True)

    async def restart(self, keys: Sequence[JobKey]) -> None:
        rows = [_identity(key) | _QUEUED for key in keys]
        await insert_rows(self._session, {AsyncJobRow: rows}, replace={AsyncJobRow: ("id",)})

    async def begin(self, key: JobKey, output: type[Output], *, pause: bool = False) -> Begun[Output]:
        return (await self.begin_all([key], output, pause=pause))[key]

    async def begin_all(
        self, keys: Sequence[JobKey], output: type[Output], *, pause: bool = False
    ) -> dict[JobKey, Begun[Output]]:
        jobs = to_json([_identity(key) for key in keys]).decode()
        try:
            rows = (await self._session.execute(_BEGIN, {"jobs": jobs, "pause": pause})).all()
        except IntegrityError:
            raise NotFound(f"Assessment {keys[0].assessment_id} does not exist") from None
        found = {row.id: row for row in rows}
        return {key: _begun(key, found[key.id], output) for key in keys}

    async def release(self, keys: Sequence[JobKey]) -> None:
        if keys:
            await self._session.execute(_RELEASE, {"ids": [key.id for key in keys]})

    async def succeed(self, key: JobKey, output: object) -> None:
        await self.succeed_all({key: output})

    async def succeed_all(self, outputs: Mapping[JobKey, object]) -> None:
        first = next(iter(outputs))
        wanted = {
            "assessment_id": first.assessment_id,
            "run": first.run,
            "revision": first.revision,
            "outputs": [{"id": key.id, "payload": encode(output)} for key, output in outputs.items()],
        }
        row = (await self._session.execute(_SUCCEED, wanted)).one_or_none()
        if row is None:
            raise NotFound(f"Assessment {first.assessment_id} does not exist")
        if row.erased:
            raise Erased(f"Assessment {first.assessment_id} belongs to an erased user")
        if not row.current:
            raise Conflict(f"Run {first.run} of assessment {first.assessment_id} has ended")

    async def fail(self, keys: Sequence[JobKey], code: str) -> None:
        await self._session.execute(_FAIL, {"ids": [key.id for key in keys], "error": {"code": code}})

    async def output(self, key: JobKey, output: type[Output]) -> Output:
        found = await self.outputs([key], output)
        if key not in found:
            raise Conflict(f"Step {key.step} of assessment {key.assessment_id} has no output")
        return found[key]

    async def outputs(self, keys: Sequence[JobKey], output: type[Output]) -> dict[JobKey, Output]:
        if not keys:
            return {}
        rows = await self._session.execute(_OUTPUTS, {"ids": [key.id for key in keys]})
        payloads: dict[UUID, Any] = {row.id: row.payload for row in rows if row.payload is not None}
        return {key: decode(output, payloads[key.id]) for key in keys if key.id in payloads}

    async def close_stale(self, *, older_than_s: float) -> int:
        closed = await self._session.execute(_CLOSE_STALE.returning(_jobs.c.id), {"older_than_s": older_than_s})
        return len(closed.all())


def _begun(key: JobKey, row: AnyRow, output: type[Output]) -> Begun[Output]:
    if row.status != "succeeded":
        return Begun(lost=row.lost_attempts, paused=row.status == "queued")
    if row.payload is None:
        raise Conflict(f"Run {key.run} of assessment {key.assessment_id} is already published")
    return Begun(output=decode(output, row.payload))


def _identity(key: JobKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "assessment_id": key.assessment_id,
        "run": key.run,
        "revision": key.revision,
        "item": key.item,
        "job_type": str(key.step),
    }
