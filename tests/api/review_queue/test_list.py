"""The list of the review queue: what it shows, its order, its filters and its pages."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from persistence.tables import UserRow
from tests.api.conftest import Api, Person, question_of
from tests.api.review_queue.queue_requests import (
    FLAGGED,
    UNSURE,
    claim,
    claim_first,
    decide,
    post,
    queue,
    set_settings,
    waiting,
)
from tests.api.test_reviews import refusal
from tests.support.builders import ROLE_ID


async def test_a_doubtful_essay_is_listed_with_its_student_and_role(
    api: Api, organization: UUID, advisor: Person
) -> None:
    started = await waiting(api, organization)

    found = await queue(api, advisor)

    assert found["waiting"] == 2
    item = next(item for item in found["items"] if item["question_id"] == question_of(started, "text")["question_id"])
    assert item["assessment_id"] == started["assessment_id"]
    assert item["role"] == {"role_id": str(ROLE_ID), "name": "Data analyst"}
    assert (item["reasons"], item["revision"]) == (["flagged"], 1)
    assert item["student"]["user_id"] == str(started["learner"].id)
    assert item["student"]["email"].endswith("@example.org")
    assert "claim" not in item


async def test_a_blind_organizations_queue_and_claims_name_no_student(
    api: Api, organization: UUID, advisor: Person
) -> None:
    started = await waiting(api, organization)
    await set_settings(api, organization, blind=True, audit_share=0.0)
    item_id = await claim_first(api, advisor, started)
    answers = [
        await api.get(advisor, "/reviews/queue"),
        await api.get(advisor, "/reviews/claims"),
        await post(api, advisor, "claims", {"item_id": item_id}),
        await post(api, advisor, f"claims/{item_id}/renewals"),
        await decide(api, advisor, item_id),
    ]

    async with api.sessions() as session:
        email = await session.scalar(select(UserRow.email).where(UserRow.id == started["learner"].id))
    assert [answer.status_code for answer in answers] == [200, 200, 201, 200, 202]
    assert email
    for answer in answers:
        assert email not in answer.text
        assert str(started["learner"].id) not in answer.text


async def test_pages_follow_each_other_in_a_stable_order(api: Api, organization: UUID, advisor: Person) -> None:
    for _ in range(3):
        await waiting(api, organization)
    for order in ("priority", "oldest", "newest"):
        everything = (await queue(api, advisor, order=order))["items"]
        pages: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = await queue(api, advisor, order=order, limit="4", **cursor)
            pages += page["items"]
            if "next_cursor" not in page:
                break
            cursor = {"cursor": page["next_cursor"]}

        assert pages == everything
        assert len(everything) == page["waiting"] == 6


async def test_the_order_can_be_that_of_the_hand_in(api: Api, organization: UUID, advisor: Person) -> None:
    started = [(await waiting(api, organization))["assessment_id"] for _ in range(3)]

    oldest, newest = [
        [item["assessment_id"] for item in (await queue(api, advisor, order=order))["items"]]
        for order in ("oldest", "newest")
    ]

    assert oldest[::2] == started
    assert newest == oldest[::-1]


async def test_appeals_come_first_and_audit_samples_last(api: Api, organization: UUID, advisor: Person) -> None:
    await set_settings(api, organization, audit_share=1.0)
    await waiting(api, organization, model="gpt-1")
    await waiting(api, organization)
    sampled = (await queue(api, advisor, reason="audit_sample"))["items"]
    async with api.uow() as uow:
        await uow.review_queue.add_appeal(UUID(sampled[0]["item_id"]))
        await uow.commit()

    reasons = [item["reasons"] for item in (await queue(api, advisor))["items"]]

    assert reasons == [["appealed", "audit_sample"], ["flagged"], ["flagged"], ["audit_sample"]]


@pytest.mark.parametrize(
    ("reason", "number"),
    [("flagged", 2), ("low_confidence", 2), ("abstained", 0), ("appealed", 1), ("audit_sample", 0)],
)
async def test_the_reason_filters(api: Api, organization: UUID, advisor: Person, reason: str, number: int) -> None:
    flagged = await waiting(api, organization, **FLAGGED)
    await waiting(api, organization, **UNSURE)
    item_id = (await queue(api, advisor, assessment_id=flagged["assessment_id"]))["items"][0]["item_id"]
    async with api.uow() as uow:
        await uow.review_queue.add_appeal(UUID(item_id))
        await uow.commit()

    found = await queue(api, advisor, reason=reason)

    assert (len(found["items"]), found["waiting"]) == (number, number)


async def test_question_role_and_assessment_filter(api: Api, organization: UUID, advisor: Person) -> None:
    started = await waiting(api, organization)
    await waiting(api, organization)
    filters = {
        "question_id": question_of(started, "text")["question_id"],
        "role_id": str(ROLE_ID),
        "assessment_id": started["assessment_id"],
    }

    numbers = {name: (await queue(api, advisor, **{name: value}))["waiting"] for name, value in filters.items()}
    others = {name: (await queue(api, advisor, **{name: str(uuid4())}))["waiting"] for name in filters}

    assert numbers == {"question_id": 2, "role_id": 4, "assessment_id": 2}
    assert others == dict.fromkeys(filters, 0)


async def test_the_queue_of_a_cohort_has_the_essays_of_its_students_only(
    api: Api, organization: UUID, advisor: Person
) -> None:
    started = await waiting(api, organization)
    await waiting(api, organization)
    admin = await api.person("admin", of=organization)
    made = await api.client.post("/api/v1/cohorts", json={"name": "Spring"}, headers=admin.headers)
    cohort_id = made.json()["cohort_id"]
    members = {"user_ids": [str(started["learner"].id)]}
    await api.client.post(f"/api/v1/cohorts/{cohort_id}/members", json=members, headers=admin.headers)

    found = await queue(api, advisor, cohort_id=cohort_id)
    claimed = await claim(api, advisor, cohort_id=cohort_id)

    assert found["waiting"] == 2
    assert claimed["item"]["assessment_id"] == started["assessment_id"]


async def test_the_queue_names_the_student(api: Api, organization: UUID, advisor: Person) -> None:
    started = await waiting(api, organization)
    async with api.sessions() as session:
        await session.execute(update(UserRow).where(UserRow.id == started["learner"].id).values(name="Ada Example"))
        await session.commit()

    assert [item["student"]["name"] for item in (await queue(api, advisor))["items"]] == ["Ada Example"] * 2


@pytest.mark.parametrize("query", [{"order": "random"}, {"reason": "boring"}, {"cursor": "none"}, {"cohort": "a"}])
async def test_an_unknown_value_is_refused(api: Api, advisor: Person, query: dict[str, str]) -> None:
    assert refusal(await api.get(advisor, "/reviews/queue", **query)) == (400, "VALIDATION_400")


async def test_a_cursor_of_another_order_is_refused(api: Api, organization: UUID, advisor: Person) -> None:
    await waiting(api, organization)
    cursors = {
        order: (await queue(api, advisor, order=order, limit="1"))["next_cursor"] for order in ("priority", "oldest")
    }

    for order, other in (("priority", "oldest"), ("oldest", "priority")):
        answer = await api.get(advisor, "/reviews/queue", order=order, cursor=cursors[other])
        assert refusal(answer) == (400, "VALIDATION_400")


async def test_essays_of_a_student_who_is_being_erased_are_left_out(
    api: Api, organization: UUID, advisor: Person
) -> None:
    started = await waiting(api, organization)
    async with api.sessions() as session:
        await session.execute(update(UserRow).where(UserRow.id == started["learner"].id).values(status="erasing"))
        await session.commit()

    assert await queue(api, advisor) == {"items": [], "waiting": 0}
    assert refusal(await post(api, advisor, "claims", {})) == (404, "NOT_FOUND_404")
