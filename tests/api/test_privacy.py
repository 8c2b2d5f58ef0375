"""Erasing users, exporting their data, and reading the audit trail."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from persistence.tables import AuditLogRow, DeniedRequestsRow, UserRow
from tests.api.conftest import Api, Person, levels_of, question_of, response_to
from tests.support.builders import an_organization
from tests.support.fake_engine import RecordingErasures

USERS = "/api/v1/users"


@pytest.fixture
async def admin(api: Api) -> Person:
    await api.person("admin")  # a second admin, so that the first is not the last
    return await api.person("admin")


@pytest.fixture
def erasures(all_erasures: RecordingErasures) -> Iterator[RecordingErasures]:
    """The recording workflow engine of erasures: available, without recorded calls."""
    all_erasures.__init__()  # type: ignore[misc]  # the app holds this very object
    yield all_erasures
    all_erasures.__init__()  # type: ignore[misc]


async def erase(api: Api, admin: Person, user_id: UUID) -> Any:
    return await api.client.delete(f"{USERS}/{user_id}", headers=admin.headers)


async def status_of(api: Api, user_id: UUID) -> str | None:
    async with api.sessions() as session:
        return await session.scalar(select(UserRow.status).where(UserRow.id == user_id))


async def test_an_erasure_is_committed_before_it_is_begun(
    api: Api, admin: Person, learner: Person, erasures: RecordingErasures
) -> None:
    answer = await erase(api, admin, learner.id)

    assert (answer.status_code, answer.json()) == (202, {"user_id": str(learner.id), "status": "erasing"})
    assert await status_of(api, learner.id) == "erasing"
    assert [erasure.id for erasure in erasures.started] == [learner.id]


async def test_an_engine_that_is_away_does_not_change_the_answer(
    api: Api, admin: Person, learner: Person, erasures: RecordingErasures
) -> None:
    erasures.down = True

    assert (await erase(api, admin, learner.id)).status_code == 202
    assert await status_of(api, learner.id) == "erasing"


@pytest.mark.usefixtures("erasures")
async def test_the_persons_tokens_are_worthless_at_once(api: Api, admin: Person, learner: Person) -> None:
    assert (await api.get(learner, "/me")).status_code == 200

    await erase(api, admin, learner.id)

    assert (await api.get(learner, "/me")).status_code == 401


@pytest.mark.usefixtures("erasures")
async def test_asking_again_is_harmless(api: Api, admin: Person, learner: Person) -> None:
    first = await erase(api, admin, learner.id)

    again = await erase(api, admin, learner.id)

    assert (again.status_code, again.json()) == (202, first.json())


@pytest.mark.usefixtures("erasures")
async def test_the_last_admin_stays(api: Api) -> None:
    async with api.sessions() as session:
        organization_id = await an_organization(session)
        await session.commit()
    last = await api.person("admin", of=organization_id)

    assert (await erase(api, last, last.id)).status_code == 409


@pytest.mark.usefixtures("erasures")
async def test_nothing_is_written_about_a_user_who_is_being_erased(api: Api, admin: Person, learner: Person) -> None:
    """Try as other users, and with a token that another process still accepts."""
    publication = await api.completed(learner)
    started = await api.start(learner)
    advisor = await api.person("advisor")
    await erase(api, admin, learner.id)
    api.services.principals._cached[learner.id] = (float("inf"), learner.principal)

    recommendation = f"/api/v1/recommendations/{publication.recommendation_id}/feedback"
    essay = question_of(started, "text")
    review = f"/api/v1/assessments/{publication.assessment_id}/items/{essay['question_id']}/review"
    answers = {
        "answer": await api.send(learner, started["assessment_id"], response_to(started["questions"][0])),
        "own feedback": await api.client.post(recommendation, json={"relevance_score": 4}, headers=learner.headers),
        "feedback": await api.client.post(recommendation, json={"relevance_score": 4}, headers=advisor.headers),
        "review": await api.client.post(review, json={"levels": levels_of(essay)}, headers=advisor.headers),
        "retry": await api.client.post(
            f"/api/v1/assessments/{publication.assessment_id}/retry", headers=advisor.headers
        ),
        "start": await api.client.post(
            "/api/v1/assessments/start", json={"role_id": str(uuid4())}, headers=learner.headers
        ),
    }
    api.services.principals.forget(learner.id)
    statuses = {what: answer.status_code for what, answer in answers.items()}
    assert statuses == dict.fromkeys(answers, 404) | {"start": 410}


async def test_an_export_has_the_texts_of_the_user_and_is_not_cached(api: Api, admin: Person, learner: Person) -> None:
    await api.completed(learner, feedback="A word that is only about them")

    answer = await api.get(admin, f"/users/{learner.id}/export")

    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    document = answer.json()
    assert document["user_id"] == str(learner.id)
    assert "A word that is only about them" in answer.text
    assert {row["user_id"] for row in document["assessments"]} == {str(learner.id)}


async def test_an_export_is_audited(api: Api, admin: Person, learner: Person) -> None:
    await api.get(admin, f"/users/{learner.id}/export")

    found = (await api.get(admin, "/audit-logs", action="user.exported", resource_id=str(learner.id))).json()["items"]
    assert [(each["actor_id"], each["actor_role"]) for each in found] == [(str(admin.id), "admin")]


@pytest.mark.usefixtures("erasures")
async def test_the_audit_trail_can_be_searched(api: Api, admin: Person, learner: Person) -> None:
    assessment_id = (await api.start(learner))["assessment_id"]
    await erase(api, admin, learner.id)

    async def found(**query: str) -> list[str]:
        return [each["action"] for each in (await api.get(admin, "/audit-logs", **query)).json()["items"]]

    assert await found(resource_id=assessment_id) == ["assessment.started"]
    assert await found(actor_id=str(learner.id)) == ["assessment.started"]
    assert await found(actor_id=str(admin.id), resource_type="user") == ["user.erasing"]
    assert await found(resource_id=str(learner.id), since="2100-01-01T00:00:00Z") == []


async def test_the_audit_trail_comes_in_pages(api: Api, admin: Person, learner: Person) -> None:
    publication = await api.completed(learner)
    query = {"resource_id": str(publication.assessment_id), "limit": "1"}
    seen: list[str] = []
    page: dict[str, Any] = {"next_cursor": None}
    while True:
        page = (
            await api.get(
                admin, "/audit-logs", **query, **({"cursor": page["next_cursor"]} if page["next_cursor"] else {})
            )
        ).json()
        seen += [each["action"] for each in page["items"]]
        if "next_cursor" not in page:
            break

    assert seen == ["assessment.completed", "assessment.submitted", "assessment.started"]


async def test_the_audit_trail_of_another_organization_is_not_seen(api: Api, learner: Person) -> None:
    assessment_id = (await api.start(learner))["assessment_id"]
    stranger = await api.person("admin", elsewhere=True)

    assert (await api.get(stranger, "/audit-logs", resource_id=assessment_id)).json() == {"items": []}


async def test_the_platforms_admins_see_their_own_acts(api: Api) -> None:
    platform = await api.person("platform_admin")
    about = uuid4()
    async with api.sessions() as session:
        for actor_id, organization_id in (
            (platform.id, api.organization_id),
            (None, None),
            (None, api.organization_id),
        ):
            session.add(
                AuditLogRow(
                    id=uuid4(),
                    organization_id=organization_id,
                    actor_id=actor_id,
                    action="test.act",
                    resource_type="test",
                    resource_id=about,
                )
            )
        await session.commit()

    found = (await api.get(platform, "/audit-logs", resource_id=str(about))).json()["items"]
    assert {(each.get("actor_id"), each.get("organization_id")) for each in found} == {
        (str(platform.id), str(api.organization_id)),
        (None, None),
    }


@pytest.mark.parametrize(
    "query", [{"action": "DROP TABLE"}, {"limit": "0"}, {"cursor": "?"}, {"actor_id": "x"}, {"a": "b"}]
)
async def test_a_search_that_means_nothing_is_refused(api: Api, admin: Person, query: dict[str, str]) -> None:
    assert (await api.get(admin, "/audit-logs", **query)).status_code == 400


async def test_refusals_are_counted_in_one_row_by_principal_and_hour(api: Api, learner: Person) -> None:
    platform = await api.person("platform_admin")
    for person, path in ((learner, "/audit-logs"), (learner, "/webhooks/endpoints"), (platform, "/assessments")):
        assert (await api.get(person, path)).status_code == 403

    async with api.sessions() as session:
        counts = select(DeniedRequestsRow.user_id, DeniedRequestsRow.count.label("count_")).where(
            DeniedRequestsRow.user_id.in_([learner.id, platform.id])
        )
        rows: list[tuple[UUID, int]] = [(row.user_id, row.count_) for row in await session.execute(counts)]
        audited = select(AuditLogRow.id).where(AuditLogRow.actor_id == learner.id)
        assert (await session.scalars(audited)).all() == []
    assert {user_id: sum(count for each, count in rows if each == user_id) for user_id, _ in rows} == {
        learner.id: 2,
        platform.id: 1,
    }
