"""Agreement with reviewers, item analysis and fairness over HTTP."""

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, update

from domain.grading.scores import CriterionRating
from persistence.repositories.assessments import SqlAssessments
from persistence.tables import EssayScoreRow, OrganizationRow, QuestionSnapshotRow, RuleScoreRow, UserRow
from tests.api.conftest import Api, Person, levels_of, question_of
from tests.support.builders import ROLE_ID, an_assessment

GROUPED = 20


@pytest.fixture
async def organization(api: Api) -> UUID:
    """An organization without other assessments. All of its confident grades are in the audit sample."""
    organization_id = uuid4()
    async with api.sessions() as session:
        row = {"id": organization_id, "name": "College", "settings": {"audit_share": 1.0}}
        await session.execute(insert(OrganizationRow).values(row))
        await session.commit()
    return organization_id


@pytest.fixture
async def advisor(api: Api, organization: UUID) -> Person:
    return await api.person("advisor", of=organization)


@pytest.fixture
async def admin(api: Api, organization: UUID) -> Person:
    return await api.person("admin", of=organization)


@pytest.fixture
async def student(api: Api, organization: UUID) -> Person:
    return await api.person(of=organization)


async def read(api: Api, person: Person, path: str, **query: Any) -> dict[str, Any]:
    answer = await api.get(person, f"/quality/{path}", **query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


# Agreement


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


# Items and fairness


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


# Groups of students


async def change(api: Api, admin: Person, user: Person, **body: Any) -> Any:
    return await api.client.patch(f"/api/v1/users/{user.id}", json=body, headers=admin.headers)


async def stored_profile(api: Api, person: Person) -> Any:
    async with api.sessions() as session:
        row = await session.get(UserRow, person.id)
    return row and row.profile


async def test_an_admin_stores_groups_and_keeps_the_rest_of_the_profile(
    api: Api, admin: Person, organization: UUID
) -> None:
    student = await api.person(of=organization, profile={"name": "Ada"})

    first = await change(api, admin, student, groups={"site": "north"})
    stored = await stored_profile(api, student)
    second = await change(api, admin, student, groups={})

    assert (first.status_code, second.status_code) == (200, 200)
    assert stored == {"name": "Ada", "groups": {"site": "north"}}
    assert await stored_profile(api, student) == {"name": "Ada"}
    assert "groups" not in first.json()


async def test_groups_do_not_end_the_students_session(api: Api, admin: Person, student: Person) -> None:
    await change(api, admin, student, groups={"site": "north"})

    assert (await api.get(student, "/me")).status_code == 200


async def test_the_audit_row_of_groups_names_no_group(api: Api, admin: Person, student: Person) -> None:
    await change(api, admin, student, groups={"religion": "none-of-your-business"})

    trail = await api.get(admin, "/audit-logs", resource_id=str(student.id))

    assert '"groups"' in trail.text
    assert "religion" not in trail.text
    assert "none-of-your-business" not in trail.text


async def test_only_students_have_groups(api: Api, admin: Person, advisor: Person) -> None:
    answer = await change(api, admin, advisor, groups={"site": "north"})

    assert (answer.status_code, await stored_profile(api, advisor)) == (409, None)


@pytest.mark.parametrize(
    "groups",
    [{"Site": "north"}, {"": "north"}, {"site": " "}, {"site": "x" * 65}, {f"a{n}": "x" for n in range(9)}, None, "x"],
)
async def test_groups_that_are_not_valid(api: Api, admin: Person, student: Person, groups: Any) -> None:
    answer = await change(api, admin, student, groups=groups)

    assert (answer.status_code, await stored_profile(api, student)) == (400, None)
