"""GET /assessments/{id}/items: what an advisor needs to judge an essay, and what its student may see."""

from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import pytest
from sqlalchemy import delete, text, update

from domain.grading.scores import CopiedFrom, CriterionRating
from persistence.tables import ResponseRow, ResultRevisionRow, UserRow
from tests.api.conftest import Api, Person, levels_of, question_of, response_to

ESSAY: Final = "The join drops rows.\r\nSo “paid orders” are 👩‍👧 missing, cafe\u0301 by café."
QUOTES: Final = ('So "paid orders" are', "café by café", "a passage that is not there")


@pytest.fixture
async def advisor(api: Api) -> Person:
    return await api.person("advisor")


@pytest.fixture
async def submitted(api: Api, learner: Person) -> dict[str, Any]:
    started = await api.start(learner)
    essay = question_of(started, "text")
    responses = [response_to(each) for each in started["questions"] if each != essay]
    responses.append({"question_id": essay["question_id"], "answer": ESSAY})
    await api.send(learner, started["assessment_id"], *responses, completed=True)
    return started


def graded(essay: dict[str, Any], place: int = 1, **rating: Any) -> dict[str, Any]:
    """Return the fields of a language model's score with the same level of each criterion of every essay."""
    ratings = tuple(
        CriterionRating(
            criterion=criterion["key"],
            level=criterion["levels"][place]["name"],
            points=Decimal(str(criterion["levels"][place]["points"])),
            rationale="It says so.",
            quotes=QUOTES,
            confidence=Decimal("0.6"),
            **rating,
        )
        for criterion in essay["rubric"]["criteria"]
    )
    return {"ratings": ratings, "model": "gpt-test", "prompt_version": "p1", "flags": ("unrelated",)}


async def read(api: Api, person: Person, started: dict[str, Any]) -> dict[str, Any]:
    answer = await api.get(person, f"/assessments/{started['assessment_id']}/items")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def read_essay(api: Api, person: Person, started: dict[str, Any]) -> dict[str, Any]:
    return item_of(await read(api, person, started), question_of(started, "text"))


def item_of(found: dict[str, Any], question: dict[str, Any]) -> dict[str, Any]:
    items: list[dict[str, Any]] = found["items"]
    return next(item for item in items if item["question_id"] == question["question_id"])


async def review(api: Api, advisor: Person, started: dict[str, Any], place: int, comment: str | None = None) -> None:
    essay = question_of(started, "text")
    answer = await api.client.post(
        f"/api/v1/assessments/{started['assessment_id']}/items/{essay['question_id']}/review",
        json={"levels": levels_of(essay, place), "comment": comment},
        headers=advisor.headers,
    )
    assert answer.status_code == 202, answer.text


async def publish_reviews(api: Api, started: dict[str, Any], **essay: Any) -> None:
    """Publish a revision that includes all reviews so far."""
    publication = await api.publish(started["assessment_id"], **essay)
    async with api.uow() as uow:
        found = await uow.reviews.of(publication.assessment_id)
        await uow.reviews.published([each.id for each in found], publication.revision)
        await uow.commit()


async def test_items_have_the_question_the_answer_and_the_rubric_in_order(
    api: Api, advisor: Person, submitted: dict[str, Any]
) -> None:
    await api.publish(submitted["assessment_id"])

    found = await read(api, advisor, submitted)

    asked = ("question_id", "type", "prompt", "answer_format", "rubric", "version")
    assert [{name: item[name] for name in asked} for item in found["items"]] == [
        {name: question[name] for name in asked} for question in submitted["questions"]
    ]
    assert item_of(found, question_of(submitted, "text"))["answer"] == ESSAY
    assert (found["revision"], found["status"]) == (1, "completed")


async def test_an_advisor_sees_the_key_and_the_anchors(api: Api, advisor: Person, submitted: dict[str, Any]) -> None:
    found = await read(api, advisor, submitted)

    keys = {kind: item_of(found, question_of(submitted, kind)).get("key") for kind in KEYS}
    assert {kind: set(key or ()) for kind, key in keys.items()} == KEYS
    assert all(anchor["text"] and anchor["levels"] for anchor in (await read_essay(api, advisor, submitted))["anchors"])


KEYS: Final = {
    "single": {"correct", "explanation"},
    "multiple": {"correct", "explanation"},
    "number": {"value", "tolerance", "tolerance_kind", "explanation"},
    "scale": {"evidence"},
    "text": set[str](),
}


async def test_the_owner_sees_no_key_anchors_reviewers_or_samples(
    api: Api, learner: Person, advisor: Person, submitted: dict[str, Any]
) -> None:
    essay = question_of(submitted, "text")
    await api.publish(submitted["assessment_id"], **graded(essay, sample_levels=("a", "b")))
    await review(api, advisor, submitted, 1)
    await publish_reviews(api, submitted, **graded(essay, sample_levels=("a", "b")))

    found = await read(api, learner, submitted)

    essay_item = item_of(found, essay)
    assert not any({"key", "anchors"} & item.keys() for item in found["items"])
    assert not any("sample_levels" in criterion for criterion in essay_item["score"]["criteria"])
    assert ["reviewer" in each for each in essay_item["reviews"]] == [False]


async def test_an_advisor_reads_items_before_there_is_a_result(api: Api, advisor: Person, learner: Person) -> None:
    started = await api.start(learner)

    found = await read(api, advisor, started)

    assert (found["status"], found["revision"], "score" in found) == ("in_progress", 0, False)
    assert not any("score" in item or "answer" in item or item["revisions"] for item in found["items"])


async def test_the_owner_waits_for_the_result(api: Api, learner: Person) -> None:
    started = await api.start(learner)
    path = f"/assessments/{started['assessment_id']}/items"

    before = await api.get(learner, path)
    await api.submit(learner, started)
    during = await api.get(learner, path)

    assert (before.status_code, before.json()["error_code"]) == (409, "RESULT_NOT_SUBMITTED")
    assert (during.status_code, during.headers["Retry-After"]) == (202, "1")


async def test_an_essays_grade_has_quotes_at_their_place_in_the_answer(
    api: Api, learner: Person, submitted: dict[str, Any]
) -> None:
    await api.publish(submitted["assessment_id"], **graded(question_of(submitted, "text")))

    item = await read_essay(api, learner, submitted)

    grade = item["score"]
    assert (grade["model"], grade["prompt_version"], grade["rubric_version"]) == ("gpt-test", "p1", "v1")
    assert (grade["flags"], grade["needs_review"], grade["confidence"]) == (["unrelated"], False, 0.8)
    for criterion in grade["criteria"]:
        located = [quote for quote in criterion["quotes"] if "start" in quote]
        assert [quote["text"] for quote in located] == ["So “paid orders” are", "cafe\u0301 by café"]
        assert all(item["answer"][quote["start"] : quote["end"]] == quote["text"] for quote in located)
        assert [quote for quote in criterion["quotes"] if "start" not in quote] == [{"text": QUOTES[2]}]


async def test_quotes_have_no_place_once_retention_has_deleted_the_answer(
    api: Api, learner: Person, submitted: dict[str, Any]
) -> None:
    await api.publish(submitted["assessment_id"], **graded(question_of(submitted, "text")))
    async with api.sessions() as session:
        await session.execute(delete(ResponseRow).where(ResponseRow.assessment_id == UUID(submitted["assessment_id"])))
        await session.commit()

    item = await read_essay(api, learner, submitted)

    assert "answer" not in item
    assert item["score"]["criteria"][0]["quotes"] == [{"text": quote} for quote in QUOTES]


async def test_an_advisor_sees_the_levels_of_the_samples(api: Api, advisor: Person, submitted: dict[str, Any]) -> None:
    sampled = graded(question_of(submitted, "text"), sample_levels=("Emerging", "Strong", "Emerging"))
    await api.publish(submitted["assessment_id"], **sampled)

    item = await read_essay(api, advisor, submitted)

    assert {tuple(each["sample_levels"]) for each in item["score"]["criteria"]} == {("Emerging", "Strong", "Emerging")}


async def test_the_history_names_reviewers_and_levels_before_and_after(
    api: Api, advisor: Person, submitted: dict[str, Any]
) -> None:
    essay = question_of(submitted, "text")
    await api.publish(submitted["assessment_id"], **graded(essay, 1))
    await review(api, advisor, submitted, 2, "Read twice.")
    await publish_reviews(api, submitted, **graded(essay, 2), points=Decimal(3))
    await review(api, advisor, submitted, 0)

    item = await read_essay(api, advisor, submitted)

    first, second = item["reviews"]
    assert (first["levels_before"], first["levels"]) == (levels_of(essay, 1), levels_of(essay, 2))
    assert (second["levels_before"], second["levels"]) == (levels_of(essay, 2), levels_of(essay, 0))
    assert (first["comment"], first["published_revision"]) == ("Read twice.", 2)
    assert not {"comment", "published_revision"} & second.keys()
    assert first["reviewer"].keys() == {"user_id", "email"}
    assert first["reviewer"]["user_id"] == str(advisor.id)
    assert [(each["revision"], each["points"], each["levels"]) for each in item["revisions"]] == [
        (1, 2.0, levels_of(essay, 1)),
        (2, 3.0, levels_of(essay, 2)),
    ]


async def test_a_review_of_an_ungraded_essay_has_no_levels_before(
    api: Api, advisor: Person, submitted: dict[str, Any]
) -> None:
    await api.publish(submitted["assessment_id"], points=None, fraction=None, needs_review=True)
    await review(api, advisor, submitted, 1)

    item = await read_essay(api, advisor, submitted)

    assert "levels_before" not in item["reviews"][0]
    assert "points" not in item["score"]


async def test_the_owner_sees_a_review_only_with_the_result_that_includes_it(
    api: Api, advisor: Person, learner: Person, submitted: dict[str, Any]
) -> None:
    await api.publish(submitted["assessment_id"])
    await review(api, advisor, submitted, 1)

    before = await read_essay(api, learner, submitted)
    await publish_reviews(api, submitted)
    after = await read_essay(api, learner, submitted)

    assert (before["reviews"], len(after["reviews"])) == ([], 1)


async def test_a_reviewer_is_named(api: Api, advisor: Person, submitted: dict[str, Any]) -> None:
    named = await api.person("advisor", name="Ada Example")
    await api.publish(submitted["assessment_id"])
    await review(api, named, submitted, 1)

    item = await read_essay(api, advisor, submitted)

    assert item["reviews"][0]["reviewer"]["name"] == "Ada Example"


async def test_an_erased_reviewer_is_named_by_id_only(api: Api, advisor: Person, submitted: dict[str, Any]) -> None:
    gone = await api.person("advisor")
    await api.publish(submitted["assessment_id"])
    await review(api, gone, submitted, 1)
    async with api.sessions() as session:
        await session.execute(update(UserRow).where(UserRow.id == gone.id).values(status="erased"))
        await session.commit()

    item = await read_essay(api, advisor, submitted)

    assert item["reviews"][0]["reviewer"] == {"user_id": str(gone.id)}


async def test_results_of_older_releases_are_readable(
    api: Api, advisor: Person, learner: Person, submitted: dict[str, Any]
) -> None:
    await api.publish(submitted["assessment_id"])
    older = ResultRevisionRow.document.op("-")(text("'score'")).op("-")(text("'needs_review'"))
    async with api.sessions() as session:
        of_this = ResultRevisionRow.assessment_id == UUID(submitted["assessment_id"])
        await session.execute(update(ResultRevisionRow).where(of_this).values(document=older))
        await session.commit()

    status = (await api.get(learner, f"/assessments/{submitted['assessment_id']}")).json()
    result = await api.get(learner, f"/assessments/{submitted['assessment_id']}/result")
    found = await read(api, advisor, submitted)

    assert (result.status_code, "score" in status, "score" in found) == (200, False, False)
    assert status["skills"] == [{"skill": "SQL querying", "score": 0.5, "target": 0.8}]


async def test_status_and_result_have_the_same_overall_score(
    api: Api, learner: Person, submitted: dict[str, Any]
) -> None:
    await api.publish(submitted["assessment_id"], needs_review=True)
    essays = sum(question["type"] == "essay" for question in submitted["questions"])
    rules = len(submitted["questions"]) - essays

    status = (await api.get(learner, f"/assessments/{submitted['assessment_id']}")).json()
    result = (await api.get(learner, f"/assessments/{submitted['assessment_id']}/result")).json()

    assert result["score"] == {
        "points": rules / 2 + 2 * essays,
        "max_points": rules + 4 * essays,
        "share": 0.5,
        "ungraded": 0,
    }
    assert status["score"] == result["score"]
    assert (status["needs_review"], result["needs_review"]) == (True, True)


async def test_only_advisors_see_from_which_answer_an_essay_is_copied(
    api: Api, learner: Person, advisor: Person, submitted: dict[str, Any]
) -> None:
    source = CopiedFrom(assessment_id=UUID(int=1), snapshot_id=UUID(int=2), share=Decimal("0.43"))
    essay = question_of(submitted, "text")
    score = graded(essay) | {"flags": ("copied_answer",), "copied_from": (source,)}
    await api.publish(submitted["assessment_id"], **score)

    seen = (await read_essay(api, advisor, submitted))["score"]
    own = (await read_essay(api, learner, submitted))["score"]
    result = await api.get(learner, f"/assessments/{submitted['assessment_id']}/results")

    assert seen["copied_from"] == [{"assessment_id": str(UUID(int=1)), "item_id": str(UUID(int=2)), "share": 0.43}]
    assert "copied_from" not in own
    assert "copied_from" not in result.text
