"""Lists of credentials, roles and assessments."""

from typing import Any

import pytest

from tests.api.conftest import Api, Person
from tests.support.builders import ROLE_ID

CREDENTIALS = "/catalog/credentials"


async def test_pages_together_hold_every_credential_once(api: Api, learner: Person) -> None:
    first = (await api.get(learner, CREDENTIALS, page_size="100")).json()
    pages = [first]
    while pages[-1]["items"]:
        pages.append((await api.get(learner, CREDENTIALS, page_size="100", page=str(len(pages) + 1))).json())
    ids = [item["credential_id"] for page in pages for item in page["items"]]
    assert len(ids) == len(set(ids)) == first["total"] > 100
    assert {page["total"] for page in pages} == {first["total"]}
    assert [page["page"] for page in pages] == list(range(1, len(pages) + 1))


async def test_a_role_keeps_credentials_that_teach_what_it_targets(api: Api, learner: Person) -> None:
    role = (await api.get(learner, f"/roles/{ROLE_ID}")).json()
    targets = {skill["skill"] for skill in role["skills"]}
    kept = (await api.get(learner, CREDENTIALS, role_id=str(ROLE_ID), page_size="100")).json()
    everything = (await api.get(learner, CREDENTIALS)).json()
    assert 0 < kept["total"] < everything["total"]
    assert all(targets & set(item["skills"]) for item in kept["items"])


async def test_no_credential_is_of_a_role_that_does_not_exist(api: Api, learner: Person) -> None:
    found = await api.get(learner, CREDENTIALS, role_id="00000000-0000-0000-0000-000000000000")
    assert (found.json()["items"], found.json()["total"]) == ([], 0)


async def test_a_credential_names_its_vector(api: Api, learner: Person) -> None:
    found = (await api.get(learner, f"{CREDENTIALS}/{api.credentials[0]}")).json()
    assert found["credential_id"] == str(api.credentials[0])
    assert found["embedding_vector_ref"]
    assert found["source_uri"].startswith("https://")


@pytest.mark.parametrize(
    "query",
    [
        {"page": "0"},
        {"page": "1.0"},
        {"page": "+1"},
        {"page": "٣"},
        {"page": "9" * 5000},
        {"page": ""},
        {"page_size": "9"},
        {"page_size": "101"},
        {"role_id": "{26c7bdb1-0653-52ad-8710-6bb5f1cd41df}"},
        {"role_id": "\0"},
        {"unknown": "1"},
    ],
    ids=lambda query: str(query)[:40],
)
async def test_a_query_out_of_range_is_refused(api: Api, learner: Person, query: dict[str, str]) -> None:
    answer = await api.get(learner, CREDENTIALS, **query)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_400")


async def test_roles_list_and_detail_agree(api: Api, learner: Person) -> None:
    roles = (await api.get(learner, "/roles")).json()["items"]
    assert len(roles) >= 5
    assert [(await api.get(learner, f"/roles/{role['role_id']}")).json() for role in roles] == roles
    missing = await api.get(learner, "/roles/00000000-0000-0000-0000-000000000000")
    assert missing.status_code == 404


async def test_pages_of_assessments_follow_the_cursor_while_new_ones_arrive(api: Api) -> None:
    learner = await api.person()
    made = []
    for _ in range(5):
        started = await api.start(learner)
        made.append(started["assessment_id"])
        await api.set(started["assessment_id"], status="failed", failure_reason="expired")
    first = (await api.get(learner, "/assessments", limit="2")).json()
    await api.start(learner)
    second = (await api.get(learner, "/assessments", limit="2", cursor=first["next_cursor"])).json()
    third = (await api.get(learner, "/assessments", limit="2", cursor=second["next_cursor"])).json()
    listed = [item["assessment_id"] for page in (first, second, third) for item in page["items"]]
    assert listed == made[::-1]
    assert "next_cursor" not in third


async def test_filters_narrow_the_list(api: Api) -> None:
    learner, advisor = await api.person(), await api.person("advisor")
    publication = await api.completed(learner)
    await api.start(learner)
    own = {"user_id": str(learner.id)}

    async def found(**query: str) -> list[str]:
        items = (await api.get(advisor, "/assessments", **(own | query))).json()["items"]
        return [item["status"] for item in items]

    assert await found() == ["in_progress", "completed"]
    assert await found(status="completed") == ["completed"]
    assert await found(degraded="true") == []
    assert await found(needs_review="false", status="in_progress") == ["in_progress"]
    assert await found(role_id=str(publication.assessment_id)) == []
    assert await found(since="2020-01-01T00:00:00Z") == ["in_progress", "completed"]
    assert await found(since="2999-01-01T00:00:00+01:00") == []


@pytest.mark.parametrize(
    "query",
    [
        {"status": "open"},
        {"degraded": "yes"},
        {"degraded": "1"},
        {"since": "2026-01-01"},
        {"since": "1767261600"},
        {"limit": "0"},
        {"limit": "101"},
        {"cursor": "x"},
        {"cursor": "W10"},
        {"cursor": "WyIyMDI2LTAxLTAxIiwgN10"},
        {"cursor": "é"},
        {"cursor": "A" * 5000},
        {"organization_id": "00000000-0000-0000-0000-000000000000"},
    ],
    ids=lambda query: str(query)[:40],
)
async def test_an_invalid_filter_is_rejected(api: Api, learner: Person, query: dict[str, Any]) -> None:
    answer = await api.get(learner, "/assessments", **query)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_400")
