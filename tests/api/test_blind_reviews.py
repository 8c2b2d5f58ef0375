"""An organization that reviews blindly: the staff do not see whose an undecided essay is, in any list."""

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from persistence.tables import OrganizationRow
from tests.api.conftest import Api, Person, levels_of, question_of
from tests.support.builders import an_organization

FLAGGED: dict[str, Any] = {"needs_review": True, "flags": ("unrelated",)}


@pytest.fixture
async def organization(api: Api) -> UUID:
    async with api.sessions() as session:
        organization_id = await an_organization(session)
        blind = update(OrganizationRow).where(OrganizationRow.id == organization_id)
        await session.execute(blind.values(settings={"blind": True, "audit_share": 0.0}))
        await session.commit()
    return organization_id


@pytest.fixture
async def advisor(api: Api, organization: UUID) -> Person:
    return await api.person("advisor", of=organization)


@pytest.fixture
async def student(api: Api, organization: UUID) -> Person:
    return await api.person(of=organization, name="Ada Lovelace")


async def published(api: Api, student: Person, **essay: Any) -> dict[str, Any]:
    started = await api.start(student)
    await api.submit(student, started)
    await api.publish(started["assessment_id"], **essay)
    return started


async def listed(api: Api, who: Person, **query: str) -> list[dict[str, Any]]:
    answer = await api.get(who, "/assessments", **query)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def review(api: Api, who: Person, started: dict[str, Any]) -> None:
    """Set levels of both essays."""
    for question in started["questions"]:
        if question["answer_format"]["kind"] == "text":
            path = f"/api/v1/assessments/{started['assessment_id']}/items/{question['question_id']}/review"
            answer = await api.client.post(path, json={"levels": levels_of(question)}, headers=who.headers)
            assert answer.status_code == 202, answer.text


@pytest.mark.parametrize("role", ["advisor", "admin"])
async def test_the_list_names_a_student_only_after_the_decision(
    api: Api, organization: UUID, student: Person, role: str
) -> None:
    reader = await api.person(role, of=organization)
    started = await published(api, student, **FLAGGED)

    (before,) = await listed(api, reader)
    await review(api, reader, started)
    (after,) = await listed(api, reader)

    assert before["review"]["waiting"] == 2
    assert not {"student", "user_id"} & before.keys()
    assert "Lovelace" not in str(before)
    assert (after["student"]["name"], after["user_id"]) == ("Ada Lovelace", str(student.id))


async def test_an_assessment_without_a_waiting_essay_is_named(api: Api, advisor: Person, student: Person) -> None:
    await published(api, student)

    (shown,) = await listed(api, advisor)

    assert shown["student"]["name"] == "Ada Lovelace"


async def test_a_search_for_a_student_does_not_find_an_undecided_assessment(
    api: Api, advisor: Person, student: Person
) -> None:
    started = await published(api, student, **FLAGGED)
    searches = ({"q": "lovelace"}, {"user_id": str(student.id)})

    before = [await listed(api, advisor, **search) for search in searches]
    await review(api, advisor, started)
    after = [await listed(api, advisor, **search) for search in searches]

    assert before == [[], []]
    assert [[each["assessment_id"] for each in found] for found in after] == [[started["assessment_id"]]] * 2


async def test_students_and_api_keys_read_whose_it_is(api: Api, organization: UUID, student: Person) -> None:
    await published(api, student, **FLAGGED)
    admin = await api.person("admin", of=organization)
    body = {"name": "LMS", "scopes": ["results:read"]}
    key = (await api.client.post("/api/v1/api-keys", json=body, headers=admin.headers)).json()["key"]
    partner = Person(admin.id, admin.principal, {"Authorization": f"Bearer {key}"})

    assert [each["user_id"] for who in (student, partner) for each in await listed(api, who)] == [str(student.id)] * 2


async def test_an_open_appeal_does_not_tell_the_staff_whose_it_is(api: Api, advisor: Person, student: Person) -> None:
    started = await published(api, student)
    body = {"question_id": question_of(started, "text")["question_id"], "reason": "The check is in paragraph two."}
    path = f"/api/v1/assessments/{started['assessment_id']}/appeals"
    appeal_id = (await api.client.post(path, json=body, headers=student.headers)).json()["appeal_id"]

    open_ones = [(await api.get(who, f"/appeals/{appeal_id}")).json() for who in (advisor, student)]
    (summary,) = await listed(api, advisor)
    rejection = {"outcome": "rejected", "message": "It is not."}
    await api.client.post(f"/api/v1/appeals/{appeal_id}/answer", json=rejection, headers=advisor.headers)
    closed = (await api.get(advisor, f"/appeals/{appeal_id}")).json()

    assert [each.get("user_id") for each in open_ones] == [None, str(student.id)]
    assert (summary["review"], summary.get("student")) == ({"waiting": 1, "reasons": ["appealed"]}, None)
    assert closed["user_id"] == str(student.id)


async def test_feedback_on_an_undecided_result_does_not_tell_the_staff_who_gave_it(
    api: Api, advisor: Person, student: Person
) -> None:
    started = await published(api, student, **FLAGGED)
    result = (await api.get(student, f"/assessments/{started['assessment_id']}/result")).json()
    path = f"/recommendations/{result['recommendation_id']}/feedback"
    for who in (student, advisor):
        answer = await api.client.post(f"/api/v1{path}", json={"relevance_score": 4}, headers=who.headers)
        assert answer.status_code == 201, answer.text

    async def givers(reader: Person) -> list[str | None]:
        return [each.get("submitted_by") for each in (await api.get(reader, path)).json()["items"]]

    before = await givers(advisor)
    await review(api, advisor, started)
    after = await givers(advisor)

    assert before == [str(advisor.id), None]
    assert after == [str(advisor.id), str(student.id)]
