"""The list of assessments as advisors and admins see it: with student, role and waiting reviews."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from persistence.tables import OrganizationRow
from tests.api.conftest import Api, Person, levels_of
from tests.support.builders import ROLE_ID, an_organization
from tests.support.statements import Statements, recorded

DETAILS = {"student", "role", "submitted_at", "review"}


@pytest.fixture
async def organization(api: Api) -> UUID:
    """An organization that only this test uses, without an audit sample."""
    async with api.sessions() as session:
        organization_id = await an_organization(session)
        await set_audit_share(session, organization_id, 0.0)
        await session.commit()
    return organization_id


@pytest.fixture
async def advisor(api: Api, organization: UUID) -> Person:
    return await api.person("advisor", of=organization)


@pytest.fixture
def statements(api_engine: AsyncEngine) -> Iterator[Statements]:
    with recorded(api_engine) as sent:
        yield sent


async def set_audit_share(session: AsyncSession, organization_id: UUID, share: float) -> None:
    organization = update(OrganizationRow).where(OrganizationRow.id == organization_id)
    await session.execute(organization.values(settings={"audit_share": share}))


async def items(api: Api, who: Person, **query: str) -> list[dict[str, Any]]:
    answer = await api.get(who, "/assessments", **query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


@pytest.mark.parametrize("role", ["advisor", "admin"])
async def test_staff_see_who_was_assessed_for_which_role(api: Api, organization: UUID, role: str) -> None:
    student = await api.person(of=organization, name="Ada Lovelace")
    await api.completed(student)

    (shown,) = await items(api, await api.person(role, of=organization))

    role_name = (await api.get(student, f"/roles/{ROLE_ID}")).json()["name"]
    assert shown["student"] == {
        "user_id": str(student.id),
        "name": "Ada Lovelace",
        "email": f"{student.id}@example.org",
    }
    assert shown["role"] == {"role_id": str(ROLE_ID), "name": role_name}
    assert shown["submitted_at"] >= shown["started_at"]
    assert shown["review"] == {"waiting": 0, "reasons": []}


async def test_a_student_without_a_name_and_an_open_assessment_are_listed(
    api: Api, organization: UUID, advisor: Person
) -> None:
    await api.start(await api.person(of=organization))

    (shown,) = await items(api, advisor)

    assert "name" not in shown["student"]
    assert "submitted_at" not in shown


async def test_students_and_api_keys_see_no_names(api: Api, organization: UUID) -> None:
    student = await api.person(of=organization, name="Ada Lovelace")
    await api.completed(student)
    admin = await api.person("admin", of=organization)
    body = {"name": "LMS", "scopes": ["results:read"]}
    key = (await api.client.post("/api/v1/api-keys", json=body, headers=admin.headers)).json()["key"]
    machine = Person(admin.id, admin.principal, {"Authorization": f"Bearer {key}"})

    for reader in (student, machine):
        (shown,) = await items(api, reader)
        assert not DETAILS & shown.keys()
        assert (await api.get(reader, "/assessments", q="ada")).status_code == 400


@pytest.mark.parametrize(
    ("essay", "reasons"),
    [
        ({"points": None, "fraction": None}, ["abstained"]),
        ({"flags": ("unrelated",)}, ["flagged"]),
        ({"confidence": Decimal("0.4")}, ["low_confidence"]),
        ({"points": None, "fraction": None, "flags": ("addressed_to_grader",)}, ["abstained", "flagged"]),
        ({"flags": ("unrelated",), "confidence": Decimal("0.4")}, ["flagged", "low_confidence"]),
    ],
    ids=str,
)
async def test_waiting_reviews_are_counted_with_their_reasons(
    api: Api, organization: UUID, advisor: Person, essay: dict[str, Any], reasons: list[str]
) -> None:
    student = await api.person(of=organization)
    publication = await api.completed(student, needs_review=True, **essay)
    questions = (await api.get(student, f"/assessments/{publication.assessment_id}/questions")).json()["questions"]

    (shown,) = await items(api, advisor)

    essays = sum(question["type"] == "essay" for question in questions)
    assert shown["review"] == {"waiting": essays, "reasons": reasons}


async def test_essays_of_the_audit_sample_wait_for_a_review_too(api: Api, organization: UUID, advisor: Person) -> None:
    async with api.sessions() as session:
        await set_audit_share(session, organization, 1.0)
        await session.commit()
    await api.completed(await api.person(of=organization))

    (shown,) = await items(api, advisor)

    assert shown["review"] == {"waiting": 2, "reasons": ["audit_sample"]}
    assert not shown["needs_review"]


async def test_a_decided_essay_does_not_wait(api: Api, organization: UUID, advisor: Person) -> None:
    student = await api.person(of=organization)
    publication = await api.completed(student, needs_review=True, flags=("unrelated",))
    path = f"/assessments/{publication.assessment_id}"
    questions = (await api.get(student, f"{path}/questions")).json()["questions"]
    essay = next(question for question in questions if question["type"] == "essay")

    body = {"levels": levels_of(essay)}
    await api.client.post(f"/api/v1{path}/items/{essay['question_id']}/review", json=body, headers=advisor.headers)

    (shown,) = await items(api, advisor)
    assert shown["review"] == {"waiting": 1, "reasons": ["flagged"]}


async def test_a_search_finds_students_by_name_and_address(api: Api, organization: UUID, advisor: Person) -> None:
    ada = await api.person(of=organization, name="Ada Lovelace", email=f"zz-{uuid4()}@example.org")
    grace = await api.person(of=organization, email=f"grace-{uuid4()}@example.org")
    for student in (ada, grace):
        await api.start(student)

    found = {q: [item["user_id"] for item in await items(api, advisor, q=q)] for q in ("LOVELACE", "grace", "nothing")}

    assert found == {"LOVELACE": [str(ada.id)], "grace": [str(grace.id)], "nothing": []}


async def test_a_cohort_narrows_the_list(api: Api, organization: UUID, advisor: Person) -> None:
    admin, member = await api.person("admin", of=organization), await api.person(of=organization)
    for student in (member, await api.person(of=organization)):
        await api.start(student)
    made = await api.client.post("/api/v1/cohorts", json={"name": "Spring"}, headers=admin.headers)
    cohort_id = made.json()["cohort_id"]
    path = f"/api/v1/cohorts/{cohort_id}/members"
    await api.client.post(path, json={"user_ids": [str(member.id)]}, headers=admin.headers)

    assert [item["user_id"] for item in await items(api, advisor, cohort_id=cohort_id)] == [str(member.id)]
    assert await items(api, advisor, cohort_id=str(uuid4())) == []
    assert await items(api, await api.person("advisor"), cohort_id=cohort_id) == []


async def test_pages_follow_the_cursor(api: Api, organization: UUID, advisor: Person) -> None:
    made = [(await api.start(await api.person(of=organization)))["assessment_id"] for _ in range(3)]

    first = (await api.get(advisor, "/assessments", limit="2")).json()
    second = (await api.get(advisor, "/assessments", limit="2", cursor=first["next_cursor"])).json()

    assert [item["assessment_id"] for page in (first, second) for item in page["items"]] == made[::-1]


async def test_the_list_is_one_statement(api: Api, organization: UUID, advisor: Person, statements: Statements) -> None:
    for _ in range(3):
        await api.completed(await api.person(of=organization), needs_review=True)
    await api.get(advisor, "/me")
    statements.clear()

    await items(api, advisor, q="example", cohort_id=str(uuid4()))
    await items(api, advisor)

    assert len(statements) == 2
