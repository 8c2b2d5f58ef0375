"""Agreement of the grader with reviewers over HTTP."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import update

from domain.grading.scores import CriterionRating
from persistence.tables import OrganizationRow, UserRow
from tests.api.conftest import Api, Person, levels_of, question_of
from tests.api.quality.reports import read
from tests.support.builders import ROLE_ID


async def graded(api: Api, student: Person, place: int = 1, **essay: Any) -> dict[str, Any]:
    """Return a started assessment whose result has the level at `place` of every criterion of the first essay."""
    started = await api.start(student)
    await api.submit(student, started)
    await publish(api, started, place, **essay)
    return started


async def publish(api: Api, started: dict[str, Any], place: int, **essay: Any) -> None:
    ratings = tuple(
        CriterionRating(
            criterion=criterion["key"],
            level=criterion["levels"][place]["name"],
            points=Decimal(str(criterion["levels"][place]["points"])),
            rationale="It says so.",
            confidence=Decimal("0.65"),
        )
        for criterion in question_of(started, "text")["rubric"]["criteria"]
    )
    values = {"ratings": ratings, "model": "gpt-test", "prompt_version": "p1"} | essay
    await api.publish(started["assessment_id"], **values)


async def review(api: Api, advisor: Person, started: dict[str, Any], place: int) -> None:
    essay = question_of(started, "text")
    path = f"/api/v1/assessments/{started['assessment_id']}/items/{essay['question_id']}/review"
    answer = await api.client.post(path, json={"levels": levels_of(essay, place)}, headers=advisor.headers)
    assert answer.status_code == 202, answer.text


async def appeal(api: Api, student: Person, advisor: Person, started: dict[str, Any], place: int) -> None:
    """Open an appeal of the first essay and uphold it with the levels at `place`."""
    essay = question_of(started, "text")
    path = f"/api/v1/assessments/{started['assessment_id']}/appeals"
    body = {"question_id": essay["question_id"], "reason": "It is better."}
    opened = await api.client.post(path, json=body, headers=student.headers)
    answered = await api.client.post(
        f"/api/v1/appeals/{opened.json()['appeal_id']}/answer",
        json={"outcome": "upheld", "levels": levels_of(essay, place)},
        headers=advisor.headers,
    )
    assert answered.status_code == 200, answered.text


async def samples_of(api: Api, advisor: Person, **query: Any) -> dict[str, Any]:
    found = await read(api, advisor, "agreement", **query)
    return {each["sample"]: each for each in found["samples"]}


def exact(sample: dict[str, Any]) -> tuple[int, float | None, float | None]:
    return sample["answers"], sample["overall"].get("exact"), sample["overall"].get("adjacent")


async def test_reviews_of_doubtful_and_of_confident_grades_are_separate_samples(
    api: Api, advisor: Person, organization: UUID
) -> None:
    confident = await graded(api, await api.person(of=organization), 1)
    doubtful = await graded(api, await api.person(of=organization), 1, needs_review=True)
    await review(api, advisor, confident, 1)
    await review(api, advisor, doubtful, 2)

    found = await samples_of(api, advisor)

    assert {name: exact(each) for name, each in found.items()} == {
        "all": (2, 0.5, 1.0),
        "doubted": (1, 0.0, 1.0),
        "audit_sample": (1, 1.0, 1.0),
        "appealed": (0, None, None),
        "other": (0, None, None),
    }
    assert all(each["overall"]["few"] for each in found.values())


async def test_a_confident_grade_that_the_queue_did_not_draw_is_no_audit_sample(
    api: Api, advisor: Person, organization: UUID, student: Person
) -> None:
    async with api.sessions() as session:
        college = update(OrganizationRow).where(OrganizationRow.id == organization)
        await session.execute(college.values(settings={"audit_share": 0.0}))
        await session.commit()
    started = await graded(api, student, 1)
    await review(api, advisor, started, 2)

    found = await samples_of(api, advisor)

    assert (exact(found["audit_sample"]), exact(found["other"])) == ((0, None, None), (1, 0.0, 1.0))


async def test_each_criterion_has_its_figures_and_its_levels(api: Api, advisor: Person, student: Person) -> None:
    started = await graded(api, student, 1)
    await review(api, advisor, started, 1)

    criteria = (await samples_of(api, advisor))["all"]["criteria"]

    essay = question_of(started, "text")
    expected = {
        each["key"]: (essay["question_id"], [level["name"] for level in each["levels"]])
        for each in essay["rubric"]["criteria"]
    }
    assert {each["criterion"]: (each["question_id"], each["level_names"]) for each in criteria} == expected
    assert [(each["agreement"]["levels"], each["agreement"]["exact"]) for each in criteria] == [(1, 1.0)] * len(
        expected
    )


async def test_the_calibration_compares_stated_confidence_with_confirmed_levels(
    api: Api, advisor: Person, student: Person
) -> None:
    started = await graded(api, student, 1)
    await review(api, advisor, started, 1)

    found = (await samples_of(api, advisor))["audit_sample"]

    number = len(question_of(started, "text")["rubric"]["criteria"])
    bin_ = {"low": 0.6, "high": 0.7, "levels": number, "confidence": pytest.approx(0.65), "confirmed": 1.0}
    assert (found["calibration"], found["calibration_error"]) == ([bin_], pytest.approx(0.35))


async def test_a_later_revision_does_not_replace_the_levels_that_the_reviewer_saw(
    api: Api, advisor: Person, student: Person
) -> None:
    started = await graded(api, student, 1, needs_review=True)
    await review(api, advisor, started, 2)
    await publish(api, started, 2, needs_review=False, reviewed=True)
    await review(api, advisor, started, 2)

    assert exact((await samples_of(api, advisor))["doubted"]) == (1, 0.0, 1.0)


async def test_an_appeal_does_not_change_the_audit_sample(api: Api, advisor: Person, student: Person) -> None:
    started = await graded(api, student, 1)
    await review(api, advisor, started, 1)
    answerer = await api.person("advisor", of=advisor.principal.organization_id)
    await appeal(api, student, answerer, started, 2)

    found = await samples_of(api, advisor)

    assert (exact(found["audit_sample"]), exact(found["appealed"])) == ((1, 1.0, 1.0), (0, None, None))


async def test_an_answer_that_was_first_reviewed_in_an_appeal_is_in_no_other_sample(
    api: Api, advisor: Person, student: Person
) -> None:
    started = await graded(api, student, 1)
    await appeal(api, student, advisor, started, 2)

    found = await samples_of(api, advisor)

    assert (exact(found["audit_sample"]), exact(found["appealed"])) == ((0, None, None), (1, 0.0, 1.0))


async def test_an_abstention_is_counted_without_levels(api: Api, advisor: Person, student: Person) -> None:
    started = await graded(api, student, ratings=(), points=None, fraction=None, needs_review=True)
    await review(api, advisor, started, 2)

    found = (await samples_of(api, advisor))["doubted"]

    assert (found["answers"], found["abstained"], found["overall"]["levels"]) == (1, 1, 0)


async def test_filters_of_agreement(api: Api, advisor: Person, student: Person) -> None:
    started = await graded(api, student, 1)
    await review(api, advisor, started, 1)
    essay = question_of(started, "text")["question_id"]
    now = datetime.now(UTC)
    matching = {"model": "gpt-test", "prompt_version": "p1", "role_id": str(ROLE_ID), "question_id": essay}
    matching |= {"since": (now - timedelta(hours=1)).isoformat()}
    other = {"model": "other", "prompt_version": "p2", "role_id": str(uuid4()), "question_id": str(uuid4())}
    other |= {"since": (now + timedelta(hours=1)).isoformat()}

    found = {name: (await samples_of(api, advisor, **{name: other[name]}))["all"]["answers"] for name in other}

    assert (await samples_of(api, advisor, **matching))["all"]["answers"] == 1
    assert found == dict.fromkeys(other, 0)


async def test_reviews_of_another_organization_and_of_erased_users_do_not_count(
    api: Api, advisor: Person, student: Person
) -> None:
    started = await graded(api, student, 1)
    await review(api, advisor, started, 1)
    stranger = await api.person("advisor", elsewhere=True)
    elsewhere = await samples_of(api, stranger, since=datetime.now(UTC).isoformat())
    async with api.sessions() as session:
        await session.execute(update(UserRow).where(UserRow.id == student.id).values(status="erasing"))
        await session.commit()

    assert elsewhere["all"]["answers"] == 0
    assert (await samples_of(api, advisor))["all"]["answers"] == 0
