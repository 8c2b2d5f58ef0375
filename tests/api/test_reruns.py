"""POST reruns: failed assessments run again, by their ids or by a filter."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import structlog

from tests.api.conftest import Api, Person
from tests.support.builders import ROLE_ID
from tests.support.failing_writes import SECRET, failing_writes
from tests.support.fake_engine import RecordingRuns

BUG = "UnexpectedError"


@pytest.fixture
async def admin(api: Api) -> Person:
    return await api.person("admin")


async def a_failed(api: Api, reason: str = BUG, **columns: Any) -> str:
    """A failed assessment of a new student of the admin's organization."""
    student = await api.person()
    started = await api.start(student)
    await api.submit(student, started)
    await api.set(started["assessment_id"], status="failed", failure_reason=reason, **columns)
    return str(started["assessment_id"])


async def rerun(api: Api, person: Person, key: str = "", **body: Any) -> httpx.Response:
    headers = {**person.headers, **({"Idempotency-Key": key} if key else {})}
    return await api.client.post("/api/v1/assessments/reruns", json=body, headers=headers)


async def ids_of(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 202, answer.text
    return [each["assessment_id"] for each in answer.json()["rerun"]]


async def test_the_answer_tells_what_runs_again_and_why_the_rest_does_not(
    api: Api, admin: Person, runs: RecordingRuns
) -> None:
    failed, expired = await a_failed(api), await a_failed(api, "expired")
    started, unknown = await api.start(await api.person()), str(uuid4())
    runs.submitted.clear()

    answer = await rerun(api, admin, assessment_ids=[failed, expired, started["assessment_id"], unknown])

    assert answer.status_code == 202
    body = answer.json()
    assert body["rerun"] == [{"assessment_id": failed, "run": 2}]
    assert {each["assessment_id"]: each["reason"] for each in body["skipped"]} == {
        expired: "expired",
        started["assessment_id"]: "not_failed",
        unknown: "not_found",
    }
    assert body["more"] is False
    assert runs.submitted == [UUID(failed)]
    assert (await api.get(admin, f"/assessments/{failed}")).json()["status"] == "awaiting_async"


async def test_a_filter_selects_by_reason_role_and_time_of_the_failure(api: Api, admin: Person) -> None:
    since = datetime.now(UTC)
    early = await a_failed(api, updated_at=since - timedelta(hours=1))
    other = await a_failed(api, "CorruptData", updated_at=since + timedelta(hours=1))
    late = await a_failed(api, updated_at=since + timedelta(hours=1))
    await a_failed(api, "expired", updated_at=since + timedelta(hours=1))
    wanted = {"status": "failed", "since": since.isoformat()}

    another_role = await rerun(api, admin, **wanted, role_id=str(uuid4()))
    by_reason = await rerun(api, admin, **wanted, failure_reason=BUG, role_id=str(ROLE_ID))
    by_time = await rerun(api, admin, **wanted)
    all_ = await rerun(api, admin, status="failed")

    assert await ids_of(another_role) == []
    assert await ids_of(by_reason) == [late]
    assert await ids_of(by_time) == [other]
    assert early in await ids_of(all_)
    assert [each.json()["skipped"] for each in (by_reason, by_time, all_)] == [[], [], []]


async def test_a_filter_that_matches_more_than_the_limit_says_so(api: Api, admin: Person) -> None:
    reason = f"Bug{uuid4().hex[:8]}"
    failed = {await a_failed(api, reason) for _ in range(3)}

    answers = [await rerun(api, admin, status="failed", failure_reason=reason, limit=2) for _ in range(2)]

    assert [answer.json()["more"] for answer in answers] == [True, False]
    assert {id_ for answer in answers for id_ in await ids_of(answer)} == failed


async def test_a_repeated_request_reruns_nothing_twice(api: Api, admin: Person, runs: RecordingRuns) -> None:
    failed = await a_failed(api)
    runs.submitted.clear()

    first, replayed = [await rerun(api, admin, "a-key", assessment_ids=[failed]) for _ in range(2)]
    without_key = await rerun(api, admin, assessment_ids=[failed])

    assert first.json() == replayed.json()
    assert without_key.json()["skipped"] == [{"assessment_id": failed, "reason": "not_failed"}]
    assert runs.submitted == [UUID(failed)]


async def test_an_unexpected_error_about_one_assessment_does_not_stop_the_others(
    api: Api, admin: Person, runs: RecordingRuns
) -> None:
    failed = sorted([await a_failed(api) for _ in range(3)])
    runs.submitted.clear()

    async with failing_writes(api.sessions, UUID(failed[1])):
        with structlog.testing.capture_logs() as lines:
            answer = await rerun(api, admin, "a-key-of-errors", assessment_ids=failed)
    replayed = await rerun(api, admin, "a-key-of-errors", assessment_ids=failed)
    repeated = await rerun(api, admin, assessment_ids=failed)

    [skipped] = answer.json()["skipped"]
    assert await ids_of(answer) == [failed[0], failed[2]]
    assert (skipped["assessment_id"], skipped["reason"], skipped["error_code"]) == (failed[1], "error", "INTERNAL_500")
    assert SECRET not in answer.text + str(lines)
    assert [each["assessment_id"] for each in lines if each["event"] == "rerun_failed"] == [failed[1]]
    assert replayed.json() == answer.json()
    assert await ids_of(repeated) == [failed[1]]
    assert sorted(map(str, runs.submitted)) == failed


async def test_without_the_engine_the_reruns_are_stored(api: Api, admin: Person, runs: RecordingRuns) -> None:
    failed = await a_failed(api)
    runs.down = True

    assert await ids_of(await rerun(api, admin, assessment_ids=[failed])) == [failed]

    assert (await api.get(admin, f"/assessments/{failed}")).json()["status"] == "awaiting_async"


async def test_another_organizations_assessments_are_not_found(api: Api) -> None:
    failed = await a_failed(api)
    stranger = await api.person("admin", elsewhere=True)

    by_id = await rerun(api, stranger, assessment_ids=[failed])
    by_filter = await rerun(api, stranger, status="failed")

    assert by_id.json()["skipped"] == [{"assessment_id": failed, "reason": "not_found"}]
    assert await ids_of(by_filter) == []


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"assessment_ids": []},
        {"assessment_ids": [str(uuid4())] * 1001},
        {"assessment_ids": [str(uuid4())], "status": "failed"},
        {"assessment_ids": [str(uuid4())], "failure_reason": BUG},
        {"failure_reason": BUG},
        {"status": "completed"},
        {"status": "failed", "limit": 1001},
    ],
    ids=lambda body: "-".join(body) or "nothing",
)
async def test_a_request_without_exactly_one_selection_is_refused(
    api: Api, admin: Person, body: dict[str, Any]
) -> None:
    assert (await rerun(api, admin, **body)).status_code == 400
