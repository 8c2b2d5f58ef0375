"""The learners of the demo and the answers that they give. Everything is invented, and the same in every run."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from domain.ids import derived_id

LEARNERS: Final = Path(__file__).with_name("demo_learners.yaml")
QUESTIONS: Final = Path(__file__).parents[1] / "content" / "questions"
WEAKER_BY: Final = 0.4
"""By how much the chance of a right answer is lower in a skill that is weak in the role."""
PARTLY_RIGHT: Final = 0.3
"""The chance that an answer with several choices is partly right instead of wrong."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """An attempt: the share of right answers, and the texts by the keys of their essays."""

    right: float
    essays: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Learner:
    """`weak` are the skills with less success. `rating` is the learner's opinion of the recommendations, if any."""

    name: str
    role: str
    weak: frozenset[str]
    attempts: tuple[Attempt, ...]
    rating: int | None

    @property
    def email(self) -> str:
        return f"{self.name.lower().replace(' ', '.')}@demo.example"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cohort:
    """The learners. The result of `held` is held. `appellant` appeals the grade of `appealed` with `reason`."""

    name: str
    learners: tuple[Learner, ...]
    held: Learner
    appellant: Learner
    appealed: str
    reason: str


@cache
def load_cohort() -> Cohort:
    content = yaml.safe_load(LEARNERS.read_text(encoding="utf-8"))
    texts = content["essays"]
    learners = {each["name"]: _learner(each, content["weak"], texts) for each in content["learners"]}
    appeal = content["appeal"]
    return Cohort(
        name=content["cohort"],
        learners=tuple(learners.values()),
        held=learners[content["held"]],
        appellant=learners[appeal["learner"]],
        appealed=appeal["question"],
        reason=appeal["reason"],
    )


def _learner(entry: Json, weak: Mapping[str, list[str]], texts: Mapping[str, Mapping[str, str]]) -> Learner:
    attempts = tuple(
        Attempt(right=each["right"], essays={key: texts[key][name] for key, name in each["essays"].items()})
        for each in entry["attempts"]
    )
    return Learner(
        name=entry["name"],
        role=entry["role"],
        weak=frozenset(weak[entry["role"]]),
        attempts=attempts,
        rating=entry.get("rating"),
    )


def answers(learner: Learner, attempt: Attempt) -> Json:
    """Return the learner's answers by the ids of their questions. Essays without a text have no answer."""
    given = {question["key"]: _answer(learner, attempt, question) for question in _questions(learner.role)}
    return {str(derived_id("question", key)): answer for key, answer in given.items() if answer is not None}


@cache
def _questions(role: str) -> tuple[Json, ...]:
    return tuple(yaml.safe_load((QUESTIONS / f"{role}.yaml").read_text(encoding="utf-8"))["questions"])


def _answer(learner: Learner, attempt: Attempt, question: Json) -> str | float | Json | None:
    if question["kind"] == "text":
        return attempt.essays.get(question["key"])
    chance = attempt.right - WEAKER_BY * bool(learner.weak & set(question["skills"]))
    luck = _luck(learner.name, question["key"])
    rubric = question["rubric"]
    if question["kind"] == "scale":
        choices = sorted(rubric["evidence"], key=lambda choice: float(rubric["evidence"][choice]))
        return str(choices[min(int(max(chance, 0) * len(choices)), len(choices) - 1)])
    if question["kind"] == "number":
        return float(rubric["value"]) / (1 if luck < chance else 2)
    if question["kind"] == "single":
        return str(rubric["correct"]) if luck < chance else _wrong(question, [rubric["correct"]])
    if luck < chance:
        return {"choices": rubric["correct"]}
    wrong = [] if luck < chance + PARTLY_RIGHT else [_wrong(question, rubric["correct"])]
    return {"choices": [*rubric["correct"][:1], *wrong]}


def _wrong(question: Json, correct: Iterable[str]) -> str:
    return next(str(choice) for choice in question["choices"] if choice not in correct)


def _luck(*names: str) -> float:
    """Return a number in [0, 1) that depends on the names only, so that every run gives the same answers."""
    return derived_id("demo-answer", *names).int / 2**128
