"""POST /assessments/start."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import func, select, update

from persistence.tables import AssessmentRow, AsyncJobRow, AuditLogRow, RoleRow, UserRow
from tests.api.conftest import Api, Person, question_of, response_to
from tests.support.builders import ROLE_ID
from tests.support.fake_engine import RecordingRuns

NOWHERE = "00000000-0000-0000-0000-000000000000"
START = "/api/v1/assessments/start"


async def test_the_snapshots_come_in_order_and_without_any_key(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    assert started["status"] == "in_progress"
    assert len(started["questions"]) >= 12
    kinds = {question["answer_format"]["kind"] for question in started["questions"]}
    assert kinds == {"single", "multiple", "number", "scale", "text"}
    rubrics = [question["rubric"] for question in started["questions"]]
    secrets = {"correct", "value", "tolerance", "explanation", "anchors", "evidence"}
    assert not any(secrets & rubric.keys() for rubric in rubrics)


async def test_a_start_does_not_call_the_workflow_engine(api: Api, learner: Person, runs: RecordingRuns) -> None:
    started = await api.start(learner)
    assert (await api.get(learner, f"/assessments/{started['assessment_id']}")).json()["status"] == "in_progress"
    assert runs.submitted == []


async def test_stored_answers_do_not_call_the_workflow_engine(api: Api, learner: Person, runs: RecordingRuns) -> None:
    started = await api.start(learner)
    await api.send(learner, started["assessment_id"], response_to(started["questions"][0]))
    assert runs.submitted == []


async def test_the_assessment_runs_for_the_configured_time(api: Api, learner: Person) -> None:
    expires_at = datetime.fromisoformat((await api.start(learner))["expires_at"])
    assert timedelta(hours=71) < expires_at - datetime.now(UTC) < timedelta(hours=73)


async def test_starting_is_audited_with_the_request_id(api: Api, learner: Person) -> None:
    headers = learner.headers | {"X-Request-Id": "request-0001"}
    await api.client.post(START, json={"role_id": str(ROLE_ID)}, headers=headers)
    async with api.sessions() as session:
        found = await session.execute(
            select(AuditLogRow.action, AuditLogRow.actor_role, AuditLogRow.correlation_id).where(
                AuditLogRow.actor_id == learner.id
            )
        )
    assert [tuple(row) for row in found] == [("assessment.started", "student", "request-0001")]


@pytest.mark.parametrize("role_id", [NOWHERE, "data-analyst", str(ROLE_ID).upper(), f"{{{ROLE_ID}}}", 7, None])
async def test_an_invalid_role_is_refused_by_field(api: Api, learner: Person, role_id: object) -> None:
    answer = await api.client.post(START, json={"role_id": role_id}, headers=learner.headers)
    assert answer.status_code == 400
    assert answer.json()["error_code"] == "VALIDATION_400"
    assert [problem["field"] for problem in answer.json()["details"]] == ["role_id"]
    assert await _assessments_of(api, learner) == 0


async def test_missing_prerequisites_are_named(api: Api, learner: Person) -> None:
    async with api.sessions() as session:
        advanced = await session.scalar(select(RoleRow.id).where(RoleRow.id != ROLE_ID).limit(1))
        await session.execute(update(RoleRow).where(RoleRow.id == advanced).values(prerequisites=[ROLE_ID]))
        await session.commit()
    refused = await api.client.post(START, json={"role_id": str(advanced)}, headers=learner.headers)
    await api.completed(learner)
    allowed = await api.client.post(START, json={"role_id": str(advanced)}, headers=learner.headers)
    assert refused.status_code == 400
    assert str(ROLE_ID) in refused.json()["details"][0]["problem"]
    assert allowed.status_code == 201


async def test_a_second_open_assessment_is_refused_and_names_the_first(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    again = await api.client.post(START, json={"role_id": str(ROLE_ID)}, headers=learner.headers)
    assert again.status_code == 409
    assert again.json()["error_code"] == "ASSESSMENT_409"
    assert again.json()["details"] == {"assessment_id": started["assessment_id"]}


async def test_two_starts_at_once_open_one_assessment(api: Api, learner: Person) -> None:
    answers = await asyncio.gather(
        *(api.client.post(START, json={"role_id": str(ROLE_ID)}, headers=learner.headers) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    assert await _assessments_of(api, learner) == 1


async def test_starting_and_answering_at_once_do_not_block_each_other(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    sent = response_to(question_of(started, "text"))
    answers = await asyncio.gather(
        *(api.client.post(START, json={"role_id": str(ROLE_ID)}, headers=learner.headers) for _ in range(4)),
        *(api.send(learner, started["assessment_id"], sent) for _ in range(4)),
    )
    assert [answer.status_code for answer in answers] == [409] * 4 + [202] * 4


async def test_an_expired_attempt_without_an_answer_is_failed_first(
    api: Api, learner: Person, runs: RecordingRuns
) -> None:
    old = (await api.start(learner))["assessment_id"]
    await api.set(old, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    new = (await api.start(learner))["assessment_id"]
    closed = (await api.get(learner, f"/assessments/{old}")).json()
    assert (closed["status"], closed["failure_reason"]) == ("failed", "expired")
    assert new != old
    assert runs.submitted == []
    assert await api.events(old) == ["assessment.failed"]


async def test_an_expired_attempt_with_an_answer_is_submitted_first(
    api: Api, learner: Person, runs: RecordingRuns
) -> None:
    started = await api.start(learner)
    old = started["assessment_id"]
    await api.send(learner, old, response_to(question_of(started, "text")))
    await api.set(old, expires_at=datetime.now(UTC) - timedelta(seconds=1))
    await api.start(learner)
    assert (await api.get(learner, f"/assessments/{old}")).json()["status"] == "awaiting_async"
    assert [str(each) for each in runs.submitted] == [old]
    async with api.sessions() as session:
        jobs = await session.scalar(select(func.count()).where(AsyncJobRow.assessment_id == old))
    assert jobs == 5


async def test_metadata_is_stored_and_limited(api: Api, learner: Person) -> None:
    kept = {"role_id": str(ROLE_ID), "metadata": {"campaign": "autumn", "share": 0.5}}
    too_much = kept | {"metadata": {"note": "x" * 4096}}
    refused = await api.client.post(START, json=too_much, headers=learner.headers)
    stored = await api.client.post(START, json=kept, headers=learner.headers)
    assert (refused.status_code, refused.json()["details"][0]["field"]) == (400, "metadata")
    async with api.sessions() as session:
        details = await session.scalar(
            select(AssessmentRow.details).where(AssessmentRow.id == stored.json()["assessment_id"])
        )
    assert details == {"campaign": "autumn", "share": 0.5}


async def test_a_student_being_erased_cannot_start(api: Api) -> None:
    person = await api.person()
    await api.get(person, "/me")  # caches the user as active
    async with api.sessions() as session:
        await session.execute(update(UserRow).where(UserRow.id == person.id).values(status="erasing"))
        await session.commit()
    answer = await api.client.post(START, json={"role_id": str(ROLE_ID)}, headers=person.headers)
    assert answer.status_code == 410
    assert await _assessments_of(api, person) == 0


async def _assessments_of(api: Api, person: Person) -> int:
    async with api.sessions() as session:
        return await session.scalar(select(func.count()).where(AssessmentRow.user_id == person.id)) or 0


async def test_a_student_with_an_accommodation_has_more_time(api: Api) -> None:
    student = await api.person(time_factor=Decimal("1.5"), extra_minutes=10)

    started = await api.start(student)

    usual = timedelta(hours=api.services.settings.assessment_hours)
    async with api.sessions() as session:
        row = await session.get(AssessmentRow, UUID(started["assessment_id"]))
    assert row is not None
    assert row.expires_at - row.started_at == usual * 1.5 + timedelta(minutes=10)


async def test_an_assessment_in_progress_keeps_its_deadline(api: Api) -> None:
    student, admin = await api.person(), await api.person("admin")
    started = await api.start(student)

    more = {"time_factor": 3}
    await api.client.patch(f"/api/v1/users/{student.id}", json=more, headers=admin.headers)

    status = (await api.get(student, f"/assessments/{started['assessment_id']}")).json()
    assert status["expires_at"] == started["expires_at"]
