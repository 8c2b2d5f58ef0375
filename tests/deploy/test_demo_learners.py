"""The demo's learners: who they are, and that their answers are valid, varied and the same in every run."""

from collections import Counter
from functools import cache
from typing import Any

import pytest
import yaml

from deploy.local.demo_learners import QUESTIONS, Attempt, Cohort, Learner, answers, load_cohort
from domain.ids import derived_id

FEWEST_WORDS = 60
ROLES = {path.stem for path in QUESTIONS.glob("*.yaml")}

Json = dict[str, Any]


@pytest.fixture(scope="module")
def cohort() -> Cohort:
    return load_cohort()


@cache
def questions(role: str) -> dict[str, Json]:
    """Return the role's questions by their ids."""
    content = yaml.safe_load((QUESTIONS / f"{role}.yaml").read_text(encoding="utf-8"))
    return {str(derived_id("question", each["key"])): each for each in content["questions"]}


def learner(*, weak: frozenset[str] = frozenset()) -> Learner:
    return Learner(name="Someone New", role="data-analyst", weak=weak, attempts=(), rating=None)


def is_right(question: Json, answer: object) -> bool:
    rubric = question["rubric"]
    match question["kind"]:
        case "single":
            return bool(answer == rubric["correct"])
        case "multiple":
            return answer == {"choices": rubric["correct"]}
        case "number":
            return bool(answer == float(rubric["value"]))
        case _:
            return False


def test_24_learners_of_all_five_roles_have_30_attempts(cohort: Cohort) -> None:
    per_role = Counter(each.role for each in cohort.learners)

    assert len({each.email for each in cohort.learners}) == 24
    assert set(per_role) == ROLES
    assert min(per_role.values()) >= 4
    assert sum(len(each.attempts) for each in cohort.learners) == 30


def test_every_essay_is_the_text_of_one_attempt_and_answers_a_question_of_its_role(cohort: Cohort) -> None:
    given = [
        (each.role, key, text) for each in cohort.learners for a in each.attempts for key, text in a.essays.items()
    ]

    assert len({text for _, _, text in given}) == len(given) == 30
    for role, key, text in given:
        assert str(derived_id("question", key)) in questions(role)
        assert len(text.split()) >= FEWEST_WORDS, text[:40]


def test_learners_answer_with_choices_and_numbers_that_the_questions_accept(cohort: Cohort) -> None:
    for each in cohort.learners:
        for question_id, answer in answers(each, each.attempts[0]).items():
            question = questions(each.role)[question_id]
            match question["kind"]:
                case "multiple":
                    assert isinstance(answer, dict)
                    assert set(answer["choices"]) <= set(question["choices"])
                    assert len(answer["choices"]) == len(set(answer["choices"]))
                case "number":
                    assert float(question["answer"]["minimum"]) <= answer <= float(question["answer"]["maximum"])
                case "single" | "scale":
                    assert answer in question["choices"]


def test_a_higher_share_gives_more_right_answers_and_keeps_the_right_ones() -> None:
    def right(share: float) -> set[str]:
        given = answers(learner(), Attempt(right=share, essays={}))
        return {key for key, answer in given.items() if is_right(questions("data-analyst")[key], answer)}

    assert right(0.0) == set()
    assert right(0.3) < right(0.9) < right(1.0)


def test_a_weak_skill_has_fewer_right_answers() -> None:
    def right(weak: frozenset[str]) -> int:
        given = answers(learner(weak=weak), Attempt(right=0.7, essays={}))
        asked = questions("data-analyst")
        return sum(is_right(asked[key], answer) for key, answer in given.items())

    assert right(frozenset({"SQL querying", "Data cleaning", "Data visualisation"})) < right(frozenset())


def test_an_essay_without_a_text_is_not_answered() -> None:
    given = answers(learner(), Attempt(right=1.0, essays={"da-essay-revenue-drop": "A text"}))

    assert given[str(derived_id("question", "da-essay-revenue-drop"))] == "A text"
    assert str(derived_id("question", "da-essay-free-delivery")) not in given


def test_the_appeal_is_about_an_essay_of_the_appellants_only_attempt(cohort: Cohort) -> None:
    (attempt,) = cohort.appellant.attempts

    assert cohort.appealed in attempt.essays
    assert cohort.held != cohort.appellant
