"""Release held results: one, many, by a review, and what students and partners see after that."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
import structlog
from sqlalchemy import select, text

from persistence.tables import AssessmentRow, AuditLogRow
from tests.api.conftest import Api, levels_of, question_of
from tests.api.release_desk import Desk
from tests.support.failing_writes import SECRET, failing_writes
from tests.support.fake_engine import RecordingDeliveries


async def test_at_once_nothing_is_held(api: Api) -> None:
    desk = await Desk.of(api, "at_once")

    publication = await desk.completed(doubtful=True)

    status = (await desk.read(desk.student, publication)).json()
    assert (status["status"], status["released"]) == ("completed", True)
    assert status["released_at"] >= status["completed_at"]
    assert await desk.event_types(publication) == ["completed"]
    assert publication.held is False


@pytest.mark.parametrize(
    ("policy", "doubtful", "held"),
    [("doubtful_held", True, True), ("doubtful_held", False, False), ("all_held", False, True)],
)
async def test_the_policy_decides_which_results_are_held(api: Api, policy: str, *, doubtful: bool, held: bool) -> None:
    desk = await Desk.of(api, policy)

    publication = await desk.completed(doubtful=doubtful)

    assert publication.held is held
    assert (await desk.read(desk.student, publication, "/result")).status_code == (202 if held else 200)
    assert await desk.event_types(publication) == (["held"] if held else ["completed"])


async def test_a_release_shows_the_result_and_tells_partners(api: Api, delivery_runs: RecordingDeliveries) -> None:
    desk = await Desk.of(api, "all_held")
    publication = await desk.completed(doubtful=True)

    released = await desk.release(publication)

    result = await desk.read(desk.student, publication, "/result")
    status = (await desk.read(desk.student, publication)).json()
    assert released.status_code == 200
    assert released.json().items() >= {"revision": 1, "released": True, "released_at": status["released_at"]}.items()
    assert (result.status_code, result.json()["released"]) == (200, True)
    assert (status["status"], status["revision"], status["released"]) == ("completed", 1, True)
    assert await desk.event_types(publication) == ["held", "completed", "released"]
    assert len(delivery_runs.started) == 2


async def test_a_release_leaves_an_audit_row_with_the_advisor(api: Api) -> None:
    desk = await Desk.of(api, "all_held")
    publication = await desk.completed()

    await desk.release(publication)

    async with api.sessions() as session:
        found = select(AuditLogRow.actor_id).where(
            AuditLogRow.resource_id == publication.assessment_id, AuditLogRow.action == "assessment.released"
        )
        assert list(await session.scalars(found)) == [desk.advisor.id]


async def test_a_second_release_changes_nothing(api: Api) -> None:
    desk = await Desk.of(api, "all_held")
    publication = await desk.completed()

    first, second = await desk.release(publication), await desk.release(publication)

    assert first.json() == second.json()
    assert await desk.event_types(publication) == ["held", "completed", "released"]


async def test_the_times_of_a_release_are_equal(api: Api) -> None:
    desk = await Desk.of(api, "all_held")
    publication = await desk.completed()

    answer = await desk.release(publication)

    async with api.sessions() as session:
        row = await session.get_one(AssessmentRow, publication.assessment_id)
    assert row.released_at == row.updated_at
    assert datetime.fromisoformat(answer.json()["released_at"]) == row.updated_at


async def test_without_a_result_there_is_nothing_to_release(api: Api) -> None:
    desk = await Desk.of(api, "all_held")
    started = await api.start(desk.student)

    answer = await api.client.post(
        f"/api/v1/assessments/{started['assessment_id']}/release", headers=desk.advisor.headers
    )

    assert (answer.status_code, answer.json()["details"]) == (409, {"reason": "no_result"})


async def test_a_release_waits_for_a_review_that_is_being_published(api: Api) -> None:
    """The levels that the advisor set would otherwise lower a score right after the student saw it."""
    desk = await Desk.of(api, "all_held")
    started = await api.start(desk.student)
    await api.submit(desk.student, started)
    publication = await api.publish(started["assessment_id"])
    essay = question_of(started, "text")
    path = f"/api/v1/assessments/{publication.assessment_id}/items/{essay['question_id']}/review"
    reviewed = await api.client.post(path, json={"levels": levels_of(essay)}, headers=desk.advisor.headers)

    answer = await desk.release(publication)

    assert reviewed.status_code == 202
    assert (answer.status_code, answer.json()["details"]) == (409, {"reason": "review_pending"})


async def test_the_last_review_releases_a_doubtful_result(api: Api) -> None:
    desk = await Desk.of(api, "doubtful_held")
    publication = await desk.completed(doubtful=True, points=Decimal(3))

    await api.publish(str(publication.assessment_id), points=Decimal(2), reviewed=True)

    result = await desk.read(desk.student, publication, "/result")
    assert (result.status_code, result.json()["revision"]) == (200, 2)
    assert await desk.event_types(publication) == ["held", "completed", "released"]


async def test_a_revision_that_was_replaced_while_held_is_never_shown(api: Api) -> None:
    desk = await Desk.of(api, "doubtful_held")
    publication = await desk.completed(doubtful=True)
    await api.publish(str(publication.assessment_id))

    revisions = (await desk.read(desk.student, publication, "/revisions")).json()["items"]

    assert [each["revision"] for each in revisions] == [2]
    assert (await desk.read(desk.student, publication, "/revisions/1")).status_code == 404
    assert (await desk.read(desk.advisor, publication, "/revisions/1")).json()["released"] is False


async def test_while_a_result_is_held_later_revisions_are_silent(api: Api) -> None:
    desk = await Desk.of(api, "doubtful_held")
    publication = await desk.completed(doubtful=True)

    await api.publish(str(publication.assessment_id), needs_review=True)

    assert await desk.event_types(publication) == ["held"]
    assert (await desk.read(desk.student, publication, "/result")).status_code == 202


async def test_a_revision_that_lowers_a_shown_score_is_held(api: Api) -> None:
    desk = await Desk.of(api, "doubtful_held")
    publication = await desk.completed(points=Decimal(3))

    await api.publish(str(publication.assessment_id), points=Decimal(2))

    shown = (await desk.read(desk.student, publication, "/result")).json()
    seen = (await desk.read(desk.advisor, publication, "/result")).json()
    status = (await desk.read(desk.student, publication)).json()
    assert (shown["revision"], shown["released"], seen["revision"], seen["released"]) == (1, True, 2, False)
    assert (status["status"], status["revision"], status["released"]) == ("completed", 1, True)
    assert [
        each["revision"] for each in (await desk.read(desk.student, publication, "/revisions")).json()["items"]
    ] == [1]
    assert (await desk.read(desk.student, publication, "/revisions/2")).status_code == 404
    assert await desk.event_types(publication) == ["completed", "held"]
    assert (await desk.events(publication))[1]["data"].items() >= {"status": "completed", "revision": 1}.items()


async def test_the_release_of_a_lowered_score_says_so(api: Api) -> None:
    desk = await Desk.of(api, "doubtful_held")
    publication = await desk.completed(points=Decimal(3))
    await api.publish(str(publication.assessment_id), points=Decimal(2))

    await desk.release(publication)

    *_, updated = [each for each in await desk.events(publication) if each["type"] == "assessment.updated"]
    assert updated["data"].items() >= {"revision": 2, "lowered": True, "needs_review": False}.items()
    assert (await desk.read(desk.student, publication, "/result")).json()["revision"] == 2


async def test_a_later_revision_that_no_longer_lowers_a_shown_score_is_released(api: Api) -> None:
    desk = await Desk.of(api, "doubtful_held")
    publication = await desk.completed(points=Decimal(3))
    for points in (2, 3):
        await api.publish(str(publication.assessment_id), points=Decimal(points))

    assert await desk.event_types(publication) == ["completed", "held", "released", "updated"]
    revisions = (await desk.read(desk.student, publication, "/revisions")).json()["items"]
    assert [each["revision"] for each in revisions] == [1, 3]


async def test_flags_of_the_shown_revision_stay_while_a_later_one_is_held(api: Api) -> None:
    desk = await Desk.of(api, "at_once")
    publication = await desk.completed(doubtful=True)
    await desk.set_policy("all_held")
    await api.publish(str(publication.assessment_id))

    listed = {
        who: (await api.get(getattr(desk, who), "/assessments", needs_review="true")).json()["items"]
        for who in ("student", "partner", "advisor")
    }

    assert {who: [each["needs_review"] for each in items] for who, items in listed.items()} == {
        "student": [True],
        "partner": [True],
        "advisor": [],
    }


async def test_feedback_is_about_the_revision_that_its_author_sees(api: Api) -> None:
    desk = await Desk.of(api, "at_once")
    publication = await desk.completed()
    await desk.set_policy("all_held")
    await api.publish(str(publication.assessment_id))
    path = f"/api/v1/recommendations/{publication.recommendation_id}/feedback"
    body = {"relevance_score": 4, "credential_id": str(api.credentials[0])}

    rated = [
        (await api.client.post(path, json=body, headers=each.headers)).json()["revision"]
        for each in (desk.student, desk.advisor)
    ]

    assert rated == [1, 2]


async def test_rows_of_an_earlier_release_count_as_released(api: Api) -> None:
    """An earlier release writes neither `released_revision` nor `released_at` nor `held`."""
    desk = await Desk.of(api, "at_once")
    publication = await desk.completed()
    await api.set(str(publication.assessment_id), released_at=None)

    status = (await desk.read(desk.student, publication)).json()

    assert (status["released"], status["released_at"]) == (True, status["completed_at"])
    assert (await desk.read(desk.student, publication, "/result")).json()["released"] is True


async def test_many_results_are_released_with_the_reason_for_each_that_is_not(api: Api) -> None:
    desk = await Desk.of(api, "all_held")
    held, known = await desk.completed(), await desk.completed()
    await desk.release(known)
    started = await api.start(desk.student)
    elsewhere = await (await Desk.of(api, "all_held")).completed()
    ids = [str(held.assessment_id), str(known.assessment_id), started["assessment_id"], str(elsewhere.assessment_id)]

    answer = await desk.release_many(ids=[*ids, ids[0]])

    assert answer == {
        "released": [ids[0]],
        "not_released": [
            {"assessment_id": ids[1], "reason": "already_released"},
            {"assessment_id": ids[2], "reason": "no_result"},
            {"assessment_id": ids[3], "reason": "not_found"},
        ],
        "more": False,
    }


async def test_an_unexpected_error_about_one_result_does_not_stop_the_others(api: Api) -> None:
    desk = await Desk.of(api, "all_held")
    ids = [str((await desk.completed()).assessment_id) for _ in range(6)]

    async with failing_writes(api.sessions, UUID(ids[1])):
        with structlog.testing.capture_logs() as lines:
            answer = await desk.release_many(ids=ids)

    assert answer["released"] == [ids[0], *ids[2:]]
    assert answer["not_released"] == [
        {
            "assessment_id": ids[1],
            "reason": "error",
            "error_code": "INTERNAL_500",
            "message": "An unexpected error occurred. Report it with the id in X-Request-Id",
        }
    ]
    [line] = [each for each in lines if each["event"] == "release_failed"]
    assert (line["assessment_id"], line["log_level"], SECRET in str(lines)) == (ids[1], "error", False)
    assert any("repositories/releases.py" in frame for frame in line["frames"])


async def test_a_repeated_release_with_the_same_key_releases_what_failed_before(api: Api) -> None:
    desk = await Desk.of(api, "all_held")
    publications = [await desk.completed() for _ in range(3)]
    ids = [str(each.assessment_id) for each in publications]
    async with failing_writes(api.sessions, UUID(ids[0])):
        first = await desk.release_many(ids=ids, key="one-key")

    second = await desk.release_many(ids=ids, key="one-key")

    assert (first["released"], second["released"]) == (ids[1:], ids[:1])
    assert [each["reason"] for each in second["not_released"]] == ["already_released"] * 2
    for publication in publications:
        assert await desk.event_types(publication) == ["held", "completed", "released"]


async def test_a_filter_releases_what_is_held_and_matches(api: Api) -> None:
    desk = await Desk.of(api, "all_held")
    doubtful, sure = await desk.completed(doubtful=True), await desk.completed()

    first = await desk.release_many(filter={"needs_review": False})
    second = await desk.release_many(filter={})
    third = await desk.release_many(filter={})

    assert [first["released"], second["released"], third["released"]] == [
        [str(sure.assessment_id)],
        [str(doubtful.assessment_id)],
        [],
    ]
    assert third == {"released": [], "not_released": [], "more": False}


async def test_a_filter_does_not_select_results_of_erased_people(api: Api) -> None:
    desk = await Desk.of(api, "all_held")
    await desk.completed()
    await api.client.delete(f"/api/v1/users/{desk.student.id}", headers=desk.admin.headers)

    assert await desk.release_many(filter={}) == {"released": [], "not_released": [], "more": False}


@pytest.mark.parametrize("body", [{}, {"ids": []}, {"ids": [str(uuid4())], "filter": {}}, {"filter": {"status": "x"}}])
async def test_a_request_without_one_selection_is_refused(api: Api, body: dict[str, object]) -> None:
    desk = await Desk.of(api, "all_held")

    answer = await api.client.post("/api/v1/assessments/releases", json=body, headers=desk.advisor.headers)

    assert answer.status_code == 400


@pytest.mark.parametrize(("number", "status"), [(1000, 200), (1001, 400)])
async def test_one_request_names_at_most_1000_results(api: Api, number: int, status: int) -> None:
    desk = await Desk.of(api, "all_held")
    body = {"ids": [str(uuid4())] * number}

    answer = await api.client.post("/api/v1/assessments/releases", json=body, headers=desk.advisor.headers)

    assert answer.status_code == status


async def test_an_outage_of_the_engine_does_not_undo_a_release(api: Api, delivery_runs: RecordingDeliveries) -> None:
    desk = await Desk.of(api, "all_held")
    publication = await desk.completed()
    delivery_runs.down = True

    answer = await desk.release_many(ids=[str(publication.assessment_id)])

    pending = text("SELECT count(*) FROM webhook_deliveries WHERE organization_id = :id AND status = 'pending'")
    async with api.sessions() as session:
        organization = desk.student.principal.organization_id
        assert await session.scalar(pending, {"id": organization}) == 3
    assert answer["released"] == [str(publication.assessment_id)]


async def test_an_advisor_releases_only_results_of_the_organization(api: Api) -> None:
    desk, other = await Desk.of(api, "all_held"), await Desk.of(api, "all_held")
    publication = await desk.completed()

    many, one = await other.release_many(filter={}), await other.release(publication)

    assert many["released"] == []
    assert one.status_code == 404
