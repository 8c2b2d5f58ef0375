"""Appeals of essays' grades: open, list, answer, withdraw."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import delete, select, update

from persistence.tables import (
    AppealRow,
    AuditLogRow,
    EssayReviewRow,
    OrganizationRow,
    ResponseRow,
    UserRow,
    WebhookEventRow,
)
from tests.api.conftest import Api, Person, essay_of, levels_of, question_of
from tests.support.builders import an_organization
from tests.support.fakes import RecordingAppeals, RecordingDeliveries, RecordingRuns
from tests.support.partners import an_endpoint

REASON = "My second paragraph names the check that the grade says is missing."
REJECTION = {"outcome": "rejected", "message": "The paragraph names no check."}


@pytest.fixture
async def advisor(api: Api) -> Person:
    return await api.person("advisor")


@pytest.fixture
async def completed(api: Api, learner: Person) -> dict[str, Any]:
    return await completed_of(api, learner)


@pytest.fixture
async def appeal_id(api: Api, learner: Person, completed: dict[str, Any]) -> str:
    """An open appeal of the first essay."""
    return str((await opened(api, learner, completed))["appeal_id"])


async def completed_of(api: Api, learner: Person) -> dict[str, Any]:
    started = await api.start(learner)
    await api.submit(learner, started)
    await api.publish(started["assessment_id"])
    return started


async def post(api: Api, person: Person, path: str, body: Any = None, **headers: str) -> httpx.Response:
    return await api.client.post(f"/api/v1{path}", json=body, headers=person.headers | headers)


async def appeal(api: Api, person: Person, started: dict[str, Any], place: int = 0, **body: Any) -> httpx.Response:
    """Appeal the essay at this place."""
    wanted = {"question_id": essay_of(started, place), "reason": REASON} | body
    return await post(api, person, f"/assessments/{started['assessment_id']}/appeals", wanted)


async def opened(api: Api, person: Person, started: dict[str, Any], place: int = 0) -> dict[str, Any]:
    answer = await appeal(api, person, started, place)
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


async def answered(api: Api, person: Person, appeal_id: str, body: Any, **headers: str) -> httpx.Response:
    return await post(api, person, f"/appeals/{appeal_id}/answer", body, **headers)


def upheld(started: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"outcome": "upheld", "levels": levels_of(question_of(started, "text"), -1), **more}


async def read(api: Api, person: Person, appeal_id: str) -> dict[str, Any]:
    document: dict[str, Any] = (await api.get(person, f"/appeals/{appeal_id}")).json()
    return document


async def listed(api: Api, person: Person, **query: str) -> list[str]:
    answer = await api.get(person, "/appeals", **query)
    assert answer.status_code == 200, answer.text
    return [each["appeal_id"] for each in answer.json()["items"]]


async def acts(api: Api, appeal_id: str) -> list[tuple[str, UUID | None]]:
    async with api.sessions() as session:
        rows = select(AuditLogRow).where(AuditLogRow.resource_id == UUID(appeal_id)).order_by(AuditLogRow.seq)
        return [(row.action, row.actor_id) for row in await session.scalars(rows)]


async def change(api: Api, appeal_id: str, **columns: Any) -> None:
    async with api.sessions() as session:
        await session.execute(update(AppealRow).where(AppealRow.id == UUID(appeal_id)).values(**columns))
        await session.commit()


async def events(api: Api, started: dict[str, Any]) -> Sequence[WebhookEventRow]:
    async with api.sessions() as session:
        found = select(WebhookEventRow).where(
            WebhookEventRow.assessment_id == UUID(started["assessment_id"]),
            WebhookEventRow.event_type.like("appeal.%"),
        )
        return (await session.scalars(found.order_by(WebhookEventRow.created_at))).all()


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error_code"]


# Open


async def test_a_student_appeals_the_grade_of_an_essay(
    api: Api, learner: Person, completed: dict[str, Any], appeal_runs: RecordingAppeals
) -> None:
    document = await opened(api, learner, completed)

    created = datetime.fromisoformat(document["created_at"])
    assert document | {"appeal_id": "", "created_at": "", "answer_due_at": ""} == {
        "appeal_id": "",
        "assessment_id": completed["assessment_id"],
        "question_id": essay_of(completed, 0),
        "role_id": document["role_id"],
        "user_id": str(learner.id),
        "state": "open",
        "reason": REASON,
        "revision": 1,
        "created_at": "",
        "answer_due_at": "",
    }
    assert datetime.fromisoformat(document["answer_due_at"]) == created + timedelta(days=7)
    assert await read(api, learner, document["appeal_id"]) == document
    assert appeal_runs.started == [UUID(document["appeal_id"])]
    assert await acts(api, document["appeal_id"]) == [("appeal.opened", learner.id)]


@pytest.mark.parametrize("reason", ["", " \n", "\u200b", "x" * 2001, None, 7])
async def test_a_reason_is_a_visible_text_of_at_most_2000_characters(
    api: Api, learner: Person, completed: dict[str, Any], reason: object
) -> None:
    answer = await appeal(api, learner, completed, reason=reason)

    assert refusal(answer) == (400, "VALIDATION_400")
    assert [each["field"] for each in answer.json()["details"]] == ["reason"]


async def test_an_item_that_a_rule_scores_cannot_be_appealed(
    api: Api, learner: Person, completed: dict[str, Any]
) -> None:
    answer = await appeal(api, learner, completed, question_id=question_of(completed, "single")["question_id"])

    assert refusal(answer) == (409, "ASSESSMENT_409")
    assert "Only essays can be appealed" in answer.json()["message"]


async def test_an_unknown_question_cannot_be_appealed(api: Api, learner: Person, completed: dict[str, Any]) -> None:
    assert refusal(await appeal(api, learner, completed, question_id=str(uuid4()))) == (404, "NOT_FOUND_404")


async def test_an_essay_without_an_answer_cannot_be_appealed(
    api: Api, learner: Person, completed: dict[str, Any]
) -> None:
    async with api.sessions() as session:
        await session.execute(delete(ResponseRow).where(ResponseRow.assessment_id == UUID(completed["assessment_id"])))
        await session.commit()

    assert refusal(await appeal(api, learner, completed)) == (409, "ASSESSMENT_409")


async def test_without_a_result_there_is_nothing_to_appeal(api: Api, learner: Person) -> None:
    started = await api.start(learner)

    assert refusal(await appeal(api, learner, started)) == (409, "ASSESSMENT_409")


@pytest.mark.parametrize(("days", "status"), [(13.9, 201), (14.1, 409)])
async def test_the_time_for_appeals_ends_after_two_weeks(
    api: Api, learner: Person, completed: dict[str, Any], days: float, status: int
) -> None:
    await api.set(completed["assessment_id"], completed_at=datetime.now(UTC) - timedelta(days=days), released_at=None)

    assert (await appeal(api, learner, completed)).status_code == status


async def test_the_organizations_settings_apply(api: Api) -> None:
    async with api.sessions() as session:
        settings = {"appeal_window_days": 1, "appeal_overdue_days": 2, "appeal_reminder_days": 5, "appeals_per_role": 1}
        organization_id = await an_organization(session)
        await session.execute(
            update(OrganizationRow).where(OrganizationRow.id == organization_id).values(settings=settings)
        )
        await session.commit()
    learner = await api.person(of=organization_id)
    started = await completed_of(api, learner)

    document = await opened(api, learner, started)
    second = await appeal(api, learner, started, 1)
    await api.set(started["assessment_id"], completed_at=datetime.now(UTC) - timedelta(days=2), released_at=None)
    late = await appeal(api, learner, started, 1)

    created, due = (datetime.fromisoformat(document[name]) for name in ("created_at", "answer_due_at"))
    assert due - created == timedelta(days=2)
    assert [refusal(second), refusal(late)] == [(409, "CONFLICT_409"), (409, "ASSESSMENT_409")]
    async with api.sessions() as session:
        row = await session.get_one(AppealRow, UUID(document["appeal_id"]))
    assert row.reminder_due_at == due


async def test_an_item_has_one_open_appeal(api: Api, learner: Person, completed: dict[str, Any]) -> None:
    first = await opened(api, learner, completed)

    answer = await appeal(api, learner, completed)

    assert refusal(answer) == (409, "CONFLICT_409")
    assert answer.json()["details"] == {"appeal_id": first["appeal_id"]}


async def test_simultaneous_appeals_of_an_item_open_one(api: Api, learner: Person, completed: dict[str, Any]) -> None:
    found = await asyncio.gather(*(appeal(api, learner, completed) for _ in range(4)))

    assert sorted(each.status_code for each in found) == [201, 409, 409, 409]


async def test_simultaneous_appeals_do_not_exceed_the_limit_of_the_role(api: Api, learner: Person) -> None:
    attempts = [await completed_of(api, learner) for _ in range(3)]

    found = await asyncio.gather(*(appeal(api, learner, each, place) for each in attempts for place in (0, 1)))

    assert sorted(each.status_code for each in found) == [201, 201, 201, 409, 409, 409]


async def test_a_withdrawn_appeal_counts_towards_the_limit(
    api: Api, learner: Person, completed: dict[str, Any]
) -> None:
    for _ in range(3):
        document = await opened(api, learner, completed)
        await post(api, learner, f"/appeals/{document['appeal_id']}/withdrawal")

    assert refusal(await appeal(api, learner, completed)) == (409, "CONFLICT_409")


async def test_a_repeated_request_opens_one_appeal_and_starts_its_run_again(
    api: Api, learner: Person, completed: dict[str, Any], appeal_runs: RecordingAppeals
) -> None:
    path = f"/assessments/{completed['assessment_id']}/appeals"
    body = {"question_id": essay_of(completed, 0), "reason": REASON}
    key = {"Idempotency-Key": str(uuid4())}
    first, second = [await post(api, learner, path, body, **key) for _ in range(2)]

    assert (second.status_code, second.json()) == (201, first.json())
    assert appeal_runs.started == [UUID(first.json()["appeal_id"])] * 2


async def test_an_appeal_is_stored_while_the_engine_is_down(
    api: Api, learner: Person, completed: dict[str, Any], appeal_runs: RecordingAppeals
) -> None:
    appeal_runs.down = True

    document = await opened(api, learner, completed)

    assert document["state"] == "open"


# Answer


async def test_an_upheld_appeal_reviews_the_essay(
    api: Api, appeal_id: str, advisor: Person, completed: dict[str, Any]
) -> None:
    answer = await answered(api, advisor, appeal_id, upheld(completed, message="You are right."))

    assert (answer.status_code, answer.json()["state"], answer.json()["answered_by"]) == (
        200,
        "upheld",
        str(advisor.id),
    )
    async with api.sessions() as session:
        review = (
            await session.scalars(
                select(EssayReviewRow).where(EssayReviewRow.assessment_id == UUID(completed["assessment_id"]))
            )
        ).one()
        row = await session.get_one(AppealRow, UUID(appeal_id))
    assert (review.levels, review.comment, row.review_id) == (upheld(completed)["levels"], None, review.id)
    assert (await acts(api, appeal_id))[1:] == [("appeal.upheld", advisor.id)]


async def test_an_upheld_appeal_is_published(
    api: Api, appeal_id: str, advisor: Person, completed: dict[str, Any], runs: RecordingRuns
) -> None:
    await answered(api, advisor, appeal_id, upheld(completed))

    assert runs.revised == [UUID(completed["assessment_id"])]


async def test_the_student_reads_the_answer_and_not_its_author(
    api: Api, appeal_id: str, learner: Person, advisor: Person, completed: dict[str, Any]
) -> None:
    await answered(api, advisor, appeal_id, upheld(completed, message="You are right."))
    async with api.sessions() as session:
        await session.execute(update(EssayReviewRow).values(published_revision=2))
        await session.commit()

    document = await read(api, learner, appeal_id)

    assert (document["state"], document["message"], document["published_revision"]) == ("upheld", "You are right.", 2)
    assert "closed_at" in document
    assert "answered_by" not in document


async def test_a_rejected_appeal_changes_no_level(
    api: Api, appeal_id: str, advisor: Person, appeal_runs: RecordingAppeals, runs: RecordingRuns
) -> None:
    answer = await answered(api, advisor, appeal_id, REJECTION)

    assert (answer.status_code, answer.json()["state"]) == (200, "rejected")
    assert (runs.revised, appeal_runs.ended) == ([], [UUID(appeal_id)])
    assert (await acts(api, appeal_id))[1:] == [("appeal.rejected", advisor.id)]


@pytest.mark.parametrize(
    "body",
    [
        {"outcome": "rejected"},
        {"outcome": "rejected", "message": " "},
        {"outcome": "rejected", "message": "No.", "levels": {}},
        {"outcome": "upheld", "message": "Yes."},
        {"outcome": "withdrawn", "message": "No."},
        {"outcome": "rejected", "message": "x" * 2001},
    ],
    ids=lambda body: str(body)[:60],
)
async def test_an_incomplete_answer_is_refused(
    api: Api, appeal_id: str, learner: Person, advisor: Person, body: dict[str, Any]
) -> None:
    assert refusal(await answered(api, advisor, appeal_id, body)) == (400, "VALIDATION_400")
    assert (await read(api, learner, appeal_id))["state"] == "open"


async def test_levels_that_do_not_fit_the_rubric_leave_the_appeal_open(
    api: Api,
    appeal_id: str,
    learner: Person,
    advisor: Person,
) -> None:
    answer = await answered(api, advisor, appeal_id, {"outcome": "upheld", "levels": {"none": "such"}})

    assert refusal(answer) == (400, "VALIDATION_400")
    assert (await read(api, learner, appeal_id))["state"] == "open"


async def test_the_last_reviewer_cannot_answer_while_there_is_a_colleague(
    api: Api, learner: Person, advisor: Person, completed: dict[str, Any]
) -> None:
    review = f"/assessments/{completed['assessment_id']}/items/{essay_of(completed, 0)}/review"
    await post(api, await api.person("admin"), review, {"levels": levels_of(question_of(completed, "text"))})
    await post(api, advisor, review, {"levels": levels_of(question_of(completed, "text"))})
    appeal_id = (await opened(api, learner, completed))["appeal_id"]

    answer = await answered(api, advisor, appeal_id, REJECTION)

    assert refusal(answer) == (403, "FORBIDDEN_403")
    assert (await answered(api, await api.person("advisor"), appeal_id, REJECTION)).status_code == 200


@pytest.mark.parametrize("colleague", [{}, {"status": "disabled"}], ids=["none", "disabled"])
async def test_the_only_reviewer_of_an_organization_answers_about_their_own_review(
    api: Api, colleague: dict[str, Any]
) -> None:
    async with api.sessions() as session:
        organization_id = await an_organization(session)
        await session.commit()
    learner, alone = await api.person(of=organization_id), await api.person("advisor", of=organization_id)
    if colleague:
        await api.person("admin", of=organization_id, **colleague)
    started = await completed_of(api, learner)
    review = f"/assessments/{started['assessment_id']}/items/{essay_of(started, 0)}/review"
    await post(api, alone, review, {"levels": levels_of(question_of(started, "text"))})
    appeal_id = (await opened(api, learner, started))["appeal_id"]

    assert (await answered(api, alone, appeal_id, REJECTION)).status_code == 200


async def test_one_of_two_simultaneous_answers_wins(
    api: Api, appeal_id: str, advisor: Person, completed: dict[str, Any]
) -> None:
    colleague = await api.person("advisor")

    found = await asyncio.gather(
        answered(api, advisor, appeal_id, upheld(completed)), answered(api, colleague, appeal_id, REJECTION)
    )

    assert sorted(each.status_code for each in found) == [200, 409]
    assert len(await acts(api, appeal_id)) == 2
    won = next(each.json()["state"] for each in found if each.status_code == 200)
    assert (await read(api, advisor, appeal_id))["state"] == won


async def test_a_repeated_answer_is_replayed_and_ends_the_run_again(
    api: Api, appeal_id: str, advisor: Person, appeal_runs: RecordingAppeals
) -> None:
    key = {"Idempotency-Key": str(uuid4())}

    first, second = [await answered(api, advisor, appeal_id, REJECTION, **key) for _ in range(2)]

    assert (second.status_code, second.json()) == (200, first.json())
    assert appeal_runs.ended == [UUID(appeal_id)] * 2


async def test_a_reviewer_who_is_being_erased_cannot_answer(
    api: Api,
    appeal_id: str,
    advisor: Person,
) -> None:
    await api.get(advisor, "/appeals")  # the token is cached from here
    async with api.sessions() as session:
        await session.execute(update(UserRow).where(UserRow.id == advisor.id).values(status="erasing"))
        await session.commit()

    assert refusal(await answered(api, advisor, appeal_id, REJECTION)) == (410, "ERASED_410")


# Withdraw


async def test_a_student_withdraws_an_appeal(
    api: Api, appeal_id: str, learner: Person, advisor: Person, appeal_runs: RecordingAppeals
) -> None:
    withdrawn = await post(api, learner, f"/appeals/{appeal_id}/withdrawal")

    assert (withdrawn.status_code, withdrawn.json()["state"]) == (200, "withdrawn")
    assert appeal_runs.ended == [UUID(appeal_id)]
    assert refusal(await answered(api, advisor, appeal_id, REJECTION)) == (409, "CONFLICT_409")
    assert await acts(api, appeal_id) == [("appeal.opened", learner.id), ("appeal.withdrawn", learner.id)]


async def test_a_withdrawal_has_no_event(api: Api, appeal_id: str, learner: Person, completed: dict[str, Any]) -> None:
    await post(api, learner, f"/appeals/{appeal_id}/withdrawal")

    assert [each.event_type for each in await events(api, completed)] == ["appeal.opened"]


async def test_an_answered_appeal_cannot_be_withdrawn(
    api: Api,
    appeal_id: str,
    learner: Person,
    advisor: Person,
) -> None:
    await answered(api, advisor, appeal_id, REJECTION)

    assert refusal(await post(api, learner, f"/appeals/{appeal_id}/withdrawal")) == (409, "CONFLICT_409")


async def test_a_closed_appeal_allows_another_one_of_the_item(
    api: Api, appeal_id: str, learner: Person, advisor: Person, completed: dict[str, Any]
) -> None:
    await answered(api, advisor, appeal_id, REJECTION)

    assert (await appeal(api, learner, completed)).status_code == 201


# Lists


async def test_lists_hold_what_their_reader_sees(
    api: Api,
    appeal_id: str,
    learner: Person,
    advisor: Person,
) -> None:
    far = await api.person("advisor", elsewhere=True)
    other = await api.person()

    found = {
        name: appeal_id in await listed(api, person)
        for name, person in {"owner": learner, "advisor": advisor, "other": other, "far": far}.items()
    }

    assert found == {"owner": True, "advisor": True, "other": False, "far": False}


async def test_filters_select_appeals(api: Api, learner: Person, advisor: Person, completed: dict[str, Any]) -> None:
    late, new = [(await opened(api, learner, completed, place))["appeal_id"] for place in (0, 1)]
    await change(api, late, overdue_at=datetime.now(UTC))
    role_id = (await read(api, learner, late))["role_id"]

    assert await listed(api, learner) == [new, late]
    assert await listed(api, learner, overdue="true") == [late]
    assert await listed(api, learner, overdue="false", role_id=role_id) == [new]
    assert await listed(api, learner, role_id=str(uuid4())) == []
    await answered(api, advisor, late, REJECTION)
    assert await listed(api, learner, state="open") == [new]
    assert await listed(api, learner, overdue="true") == []


async def test_pages_together_hold_every_appeal_once(api: Api, learner: Person, completed: dict[str, Any]) -> None:
    both = [(await opened(api, learner, completed, place))["appeal_id"] for place in (0, 1)]

    first = (await api.get(learner, "/appeals", limit="1")).json()
    second = (await api.get(learner, "/appeals", limit="1", cursor=first["next_cursor"])).json()

    assert [each["appeal_id"] for page in (first, second) for each in page["items"]] == both[::-1]
    assert "next_cursor" not in second


async def test_an_assessment_lists_its_appeals(api: Api, learner: Person, completed: dict[str, Any]) -> None:
    other = await completed_of(api, learner)
    appeal_id = (await opened(api, learner, completed))["appeal_id"]

    found = [
        [each["appeal_id"] for each in (await api.get(learner, f"/assessments/{each}/appeals")).json()["items"]]
        for each in (completed["assessment_id"], other["assessment_id"])
    ]

    assert found == [[appeal_id], []]


async def test_assessments_are_filtered_by_open_appeals(
    api: Api, appeal_id: str, learner: Person, advisor: Person, completed: dict[str, Any]
) -> None:
    async def appealed(value: str) -> bool:
        found = await api.get(advisor, "/assessments", appealed=value, user_id=str(learner.id))
        return [each["assessment_id"] for each in found.json()["items"]] == [completed["assessment_id"]]

    assert [await appealed("true"), await appealed("false")] == [True, False]
    await answered(api, advisor, appeal_id, REJECTION)
    assert [await appealed("true"), await appealed("false")] == [False, True]


async def test_an_appeal_shows_its_reminder(
    api: Api,
    appeal_id: str,
    learner: Person,
) -> None:
    moment = datetime(2026, 3, 2, 9, 14, 5, tzinfo=UTC)
    await change(api, appeal_id, reminded_at=moment, overdue_at=moment)

    document = await read(api, learner, appeal_id)

    assert (document["reminded_at"], document["overdue_at"]) == ("2026-03-02T09:14:05Z",) * 2


async def test_an_export_has_a_students_appeals(api: Api, appeal_id: str, learner: Person, advisor: Person) -> None:
    await answered(api, advisor, appeal_id, REJECTION)

    document = (await api.get(await api.person("admin"), f"/users/{learner.id}/export")).json()

    assert [(each["id"], each["reason"]) for each in document["appeals"]] == [(appeal_id, REASON)]
    assert "appeal.rejected" in [each["action"] for each in document["audit_logs"]]


# Events


async def test_events_tell_partners_that_an_appeal_was_opened_and_answered(
    api: Api, advisor: Person, delivery_runs: RecordingDeliveries
) -> None:
    async with api.sessions() as session:
        organization_id = await an_organization(session)
        await an_endpoint(session, organization_id=organization_id, event_types=["appeal.opened", "appeal.answered"])
        await session.commit()
    learner, advisor = await api.person(of=organization_id), await api.person("advisor", of=organization_id)
    started = await completed_of(api, learner)
    appeal_id = (await opened(api, learner, started))["appeal_id"]
    await answered(api, advisor, appeal_id, upheld(started))

    found = await events(api, started)

    assert [(each.event_type, each.status, each.payload["data"]["appeal_state"]) for each in found] == [
        ("appeal.opened", "pending", "open"),
        ("appeal.answered", "pending", "upheld"),
    ]
    about = found[0].payload["data"]
    assert (about["appeal_id"], about["question_id"]) == (appeal_id, essay_of(started, 0))
    assert REASON not in found[0].body.decode()
    assert [each.event_id for each in delivery_runs.started] == [each.id for each in found]


async def test_an_endpoint_subscribes_to_appeals(api: Api) -> None:
    body = {"url": "https://partner.example/hooks", "event_types": ["appeal.opened", "appeal.answered"]}

    answer = await post(api, await api.person("admin"), "/webhooks/endpoints", body)

    assert answer.status_code == 201, answer.text
    assert (answer.status_code, answer.json()["event_types"]) == (201, body["event_types"])
