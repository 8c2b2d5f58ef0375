"""Decisions about claimed essays, and reviews of essays without a claim."""

import asyncio
from uuid import UUID

import pytest
from sqlalchemy import func, select

from persistence.tables import EssayReviewRow
from tests.api.conftest import Api, Person, levels_of, question_of
from tests.api.review_queue.queue_requests import FLAGGED, claim, claim_first, decide, expire, post, queue, waiting
from tests.api.test_reviews import refusal, review
from tests.support.fake_engine import RecordingRuns


async def reviews_of(api: Api, assessment_id: str) -> int:
    async with api.sessions() as session:
        found = select(func.count()).where(EssayReviewRow.assessment_id == UUID(assessment_id))
        return await session.scalar(found) or 0


async def test_a_decision_stores_the_review_and_ends_the_claim(
    api: Api, organization: UUID, advisor: Person, runs: RecordingRuns
) -> None:
    started = await waiting(api, organization)
    item_id = await claim_first(api, advisor, started)
    levels = levels_of(question_of(started, "text"))

    answer = await decide(api, advisor, item_id, levels=levels, comment="Read twice.")

    assert answer.status_code == 202
    async with api.sessions() as session:
        row = (await session.scalars(select(EssayReviewRow).where(EssayReviewRow.reviewer_id == advisor.id))).one()
    assert answer.json() == {
        "review_id": str(row.id),
        "assessment_id": started["assessment_id"],
        "question_id": question_of(started, "text")["question_id"],
        "revision": 1,
    }
    assert (row.levels, row.comment) == (levels, "Read twice.")
    assert runs.revised == [UUID(started["assessment_id"])]
    assert (await queue(api, advisor))["waiting"] == 1
    assert (await api.get(advisor, "/reviews/claims")).json() == {"items": []}


async def test_a_confirmation_keeps_the_published_levels(api: Api, organization: UUID, advisor: Person) -> None:
    started = await waiting(api, organization)
    item_id = await claim_first(api, advisor, started)

    await decide(api, advisor, item_id, confirm=True)

    async with api.sessions() as session:
        row = (await session.scalars(select(EssayReviewRow).where(EssayReviewRow.reviewer_id == advisor.id))).one()
    assert row.levels == levels_of(question_of(started, "text"), -1)


async def test_a_decision_about_an_older_revision_is_refused_with_the_newest(
    api: Api, organization: UUID, advisor: Person
) -> None:
    started = await waiting(api, organization)
    item_id = await claim_first(api, advisor, started)
    await api.publish(started["assessment_id"], **FLAGGED)

    answer = await decide(api, advisor, item_id, revision=1)

    assert refusal(answer) == (409, "REVISION_OUTDATED")
    assert answer.json()["details"] == {"revision": "2"}
    assert await reviews_of(api, started["assessment_id"]) == 0
    assert [each["claim_id"] for each in (await api.get(advisor, "/reviews/claims")).json()["items"]] == [item_id]


async def test_a_decision_after_the_claim_went_to_another_reviewer_is_refused(
    api: Api, organization: UUID, advisor: Person, colleague: Person
) -> None:
    started = await waiting(api, organization)
    item_id = await claim_first(api, advisor, started)
    await expire(api, item_id)
    await claim(api, colleague, item_id=item_id)

    answers = [await decide(api, advisor, item_id), await decide(api, colleague, item_id)]

    assert refusal(answers[0]) == (409, "ITEM_CLAIMED")
    assert answers[1].status_code == 202
    assert refusal(await decide(api, advisor, item_id)) == (409, "ITEM_DECIDED")
    assert await reviews_of(api, started["assessment_id"]) == 1


async def test_an_expired_claim_is_enough_while_nobody_else_has_claimed_the_essay(
    api: Api, organization: UUID, advisor: Person
) -> None:
    started = await waiting(api, organization)
    item_id = await claim_first(api, advisor, started)
    await expire(api, item_id)

    assert (await decide(api, advisor, item_id, levels=None, confirm=True)).status_code == 202


async def test_an_unclaimed_essay_is_not_decided(api: Api, organization: UUID, advisor: Person) -> None:
    await waiting(api, organization)
    item_id = (await queue(api, advisor))["items"][0]["item_id"]

    assert refusal(await decide(api, advisor, item_id)) == (409, "CLAIM_NOT_HELD")


async def test_the_answer_to_an_appeal_decides_an_appealed_essay(api: Api, organization: UUID, advisor: Person) -> None:
    started = await waiting(api, organization)
    item_id = await claim_first(api, advisor, started)
    async with api.uow() as uow:
        await uow.review_queue.add_appeal(UUID(item_id))
        await uow.commit()

    assert refusal(await decide(api, advisor, item_id)) == (409, "ITEM_APPEALED")


async def test_a_refused_decision_keeps_the_claim(api: Api, organization: UUID, advisor: Person) -> None:
    started = await waiting(api, organization)
    item_id = await claim_first(api, advisor, started)

    assert refusal(await decide(api, advisor, item_id, levels={"a": "b"})) == (400, "VALIDATION_400")

    assert [each["claim_id"] for each in (await api.get(advisor, "/reviews/claims")).json()["items"]] == [item_id]


async def test_of_two_decisions_at_the_same_time_one_counts(api: Api, organization: UUID, advisor: Person) -> None:
    started = await waiting(api, organization)
    item_id = await claim_first(api, advisor, started)

    answers = await asyncio.gather(*(decide(api, advisor, item_id) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409, 409]
    assert await reviews_of(api, started["assessment_id"]) == 1


async def test_a_decision_and_a_claim_of_another_reviewer_at_the_same_time_do_not_both_succeed(
    api: Api, organization: UUID, advisor: Person, colleague: Person
) -> None:
    for _ in range(5):
        started = await waiting(api, organization)
        item_id = await claim_first(api, advisor, started)
        await expire(api, item_id)

        decision, takeover = await asyncio.gather(
            decide(api, advisor, item_id), post(api, colleague, "claims", {"item_id": item_id})
        )

        assert sorted((decision.status_code, takeover.status_code)) in ([201, 409], [202, 409])


async def test_a_review_of_an_essay_that_another_reviewer_has_claimed_is_refused(
    api: Api, organization: UUID, advisor: Person, colleague: Person
) -> None:
    started = await waiting(api, organization)
    await claim_first(api, colleague, started)

    answer = await review(api, advisor, started, confirm=True)

    assert refusal(answer) == (409, "ITEM_CLAIMED")
    assert answer.json()["details"]["claimed_by"].startswith("colleague-")
    assert await reviews_of(api, started["assessment_id"]) == 0


@pytest.mark.parametrize("claims", [True, False])
async def test_a_review_takes_the_essay_out_of_the_queue(
    api: Api, organization: UUID, advisor: Person, *, claims: bool
) -> None:
    started = await waiting(api, organization)
    if claims:
        await claim_first(api, advisor, started)

    assert (await review(api, advisor, started, confirm=True)).status_code == 202

    assert (await queue(api, advisor))["waiting"] == 1
    assert (await api.get(advisor, "/reviews/claims")).json() == {"items": []}


async def test_the_assessment_is_marked_until_the_review_is_published(
    api: Api, organization: UUID, advisor: Person
) -> None:
    started = await waiting(api, organization)
    essays = [question for question in started["questions"] if question["answer_format"]["kind"] == "text"]
    for essay in essays:
        await review(api, advisor, started, essay["question_id"], levels=levels_of(essay))
    marked = await api.get(advisor, "/assessments", needs_review="true")
    await api.publish(started["assessment_id"], reviewed=True)

    assert (await queue(api, advisor))["waiting"] == 0
    assert [each["assessment_id"] for each in marked.json()["items"]] == [started["assessment_id"]]
    assert (await api.get(advisor, "/assessments", needs_review="true")).json()["items"] == []
