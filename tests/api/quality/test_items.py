"""Item analysis and fairness over HTTP."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, update

from persistence.repositories.assessments import SqlAssessments
from persistence.tables import EssayScoreRow, QuestionSnapshotRow, RuleScoreRow
from tests.api.conftest import Api, Person
from tests.api.quality.reports import read
from tests.support.builders import ROLE_ID, an_assessment

GROUPED = 20


async def completed(
    api: Api,
    organization: UUID,
    shares: Sequence[float],
    *,
    student: Person | None = None,
    groups: dict[str, str] | None = None,
    version: str | None = None,
    rule: str = "single_choice",
    answered: bool = True,
) -> None:
    """Store a completed assessment of a new student. `shares` are the shares of the points of its items, in order."""
    person = student or await api.person(of=organization, profile={"groups": groups} if groups else None)
    async with api.sessions() as session:
        assessment = await an_assessment(
            session,
            user_id=person.id,
            items=len(shares),
            status="completed",
            revision=1,
            completed_at=datetime.now(UTC),
            answered=answered,
        )
        items = await SqlAssessments(session).items(assessment.id)
        for item, share in zip(items, shares, strict=True):
            row = {"id": uuid4(), "assessment_id": assessment.id, "question_snapshot_id": item.snapshot_id}
            if item.question.kind == "text":
                essay = {"model": "gpt-test", "prompt_version": "p1", "latency_ms": 1}
                payload = {"max_points": "4"}
                await session.execute(
                    insert(EssayScoreRow), {**row, **essay, "score": 4 * share, "response_payload": payload}
                )
            else:
                applied = {"rule": rule, "max_points": "1" if item.question.kind != "scale" else "0", "fraction": "1"}
                await session.execute(
                    insert(RuleScoreRow), {**row, "score": share, "explanation": "", "rules_applied": applied}
                )
        if version:
            await session.execute(
                update(QuestionSnapshotRow)
                .where(QuestionSnapshotRow.id == items[0].snapshot_id)
                .values(version=version)
            )
        await session.commit()


async def items_of(api: Api, advisor: Person) -> list[dict[str, Any]]:
    found = await read(api, advisor, "items", role_id=str(ROLE_ID))
    items: list[dict[str, Any]] = found["items"]
    return items


async def test_items_have_difficulty_and_correlation_in_the_order_of_the_assessment(
    api: Api, advisor: Person, organization: UUID
) -> None:
    for shares in ([0, 0, 0.25, 0], [1, 0, 0.5, 1], [1, 1, 0.75, 1]):
        await completed(api, organization, shares)

    items = await items_of(api, advisor)

    assert [each["difficulty"] for each in items] == pytest.approx([2 / 3, 1 / 3, 0.5, 2 / 3])
    assert [each["mean"] for each in items] == pytest.approx([2 / 3, 1 / 3, 2, 8 / 3])
    assert [(each["n"], each["few"], each["ungraded"]) for each in items] == [(3, True, 0)] * 4
    assert items[0]["item_total_correlation"] == pytest.approx(0.9607689)


async def test_an_item_names_its_question_and_counts_its_choices(api: Api, advisor: Person, organization: UUID) -> None:
    for _ in range(2):
        await completed(api, organization, [1, 1, 1, 1])

    item = (await items_of(api, advisor))[0]

    assert (item["kind"], item["role_id"], bool(item["prompt"])) == ("single", str(ROLE_ID), True)
    assert {(each["count"], each["correct"]) for each in item["choices"]} == {(2, True), (0, False)}


async def test_versions_of_a_question_are_separate_items(api: Api, advisor: Person, organization: UUID) -> None:
    await completed(api, organization, [1, 1, 1, 1], version="0" * 64)
    await completed(api, organization, [0, 1, 1, 1])
    await completed(api, organization, [0, 1, 1, 1])

    items = await items_of(api, advisor)

    changed = [each for each in items if each["question_id"] == items[0]["question_id"]]
    assert sorted((each["n"], each["difficulty"]) for each in changed) == [(1, 1.0), (2, 0.0)]


async def test_only_the_first_attempt_of_a_student_counts(api: Api, advisor: Person, organization: UUID) -> None:
    student = await api.person(of=organization)
    await completed(api, organization, [0, 0, 0, 0], student=student)
    await completed(api, organization, [1, 1, 1, 1], student=student)

    found = await read(api, advisor, "items")

    assert found["assessments"] == 1
    assert [each["difficulty"] for each in found["items"]] == [0] * 4


async def test_unanswered_items_are_counted(api: Api, advisor: Person, organization: UUID) -> None:
    await completed(api, organization, [0, 0, 0, 0], rule="unanswered", answered=False)
    await completed(api, organization, [1, 1, 1, 1])

    items = await items_of(api, advisor)

    assert items[0]["unanswered"] == 0.5
    assert sum(each["count"] for each in items[0]["choices"]) == 1


async def test_items_of_another_organization_do_not_count(api: Api, organization: UUID) -> None:
    await completed(api, organization, [1, 1, 1, 1])
    stranger = await api.person("advisor", elsewhere=True)
    before = await read(api, stranger, "items")
    await completed(api, organization, [1, 1, 1, 1])

    assert await read(api, stranger, "items") == before


async def test_groups_are_compared_and_small_ones_are_named_without_figures(
    api: Api, advisor: Person, organization: UUID
) -> None:
    dice = random.Random(1)
    for group, number in (("x", GROUPED + 1), ("y", GROUPED), ("z", 3)):
        for _ in range(number):
            shares = [float(dice.random() < (0.7 if group == "x" else 0.4)) for _ in range(4)]
            await completed(api, organization, shares, groups={"site": group})
    await completed(api, organization, [1, 1, 1, 1])

    found = await read(api, advisor, "fairness", role_id=str(ROLE_ID))

    (attribute,) = found["attributes"]
    assert (found["assessments"], found["left_out"], found["min_group"]) == (2 * GROUPED + 5, 0, GROUPED)
    assert (attribute["attribute"], attribute["reference"], attribute["too_small"]) == ("site", "x", ["z"])
    reference, focal = attribute["groups"]
    assert (reference["group"], reference["n"], "items" in reference) == ("x", GROUPED + 1, False)
    assert (focal["group"], focal["n"], len(focal["items"])) == ("y", GROUPED, 4)
    assert focal["standardised_mean_difference"] < 0
    estimated = [each for each in focal["items"] if "mantel_haenszel" in each and "logistic" in each]
    assert estimated
    assert {each["mantel_haenszel"]["dif_class"] for each in estimated} <= {"A", "B", "C"}
    assert all(-10 < each["logistic"]["log_odds"] < 10 for each in estimated)


async def test_without_stored_groups_there_is_nothing_to_compare(api: Api, advisor: Person, organization: UUID) -> None:
    await completed(api, organization, [1, 1, 1, 1])

    assert (await read(api, advisor, "fairness", role_id=str(ROLE_ID)))["attributes"] == []


async def test_fairness_needs_a_role(api: Api, advisor: Person) -> None:
    answer = await api.get(advisor, "/quality/fairness")

    assert (answer.status_code, [each["field"] for each in answer.json()["details"]]) == (400, ["role_id"])
