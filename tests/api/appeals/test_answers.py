"""Answers to appeals, and withdrawals."""

import asyncio
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from persistence.tables import AppealRow, EssayReviewRow, UserRow
from tests.api.appeals.appeal_requests import (
    REJECTION,
    acts,
    answered,
    appeal,
    completed_of,
    events,
    opened,
    post,
    read,
    refusal,
    upheld,
)
from tests.api.conftest import Api, Person, essay_of, levels_of, question_of
from tests.support.builders import an_organization
from tests.support.fake_engine import RecordingAppeals, RecordingRuns


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
