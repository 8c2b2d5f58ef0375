"""The rule engine: exact points for all questions except essays, each with the rule's name and an explanation."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from domain.assessments.attempts import Reveal
from domain.assessments.questions import (
    EssayRubric,
    Item,
    MultipleChoiceRubric,
    NumberRubric,
    QuestionKind,
    RuleRubric,
    ScaleRubric,
    SingleChoiceRubric,
)
from domain.decimals import plain, rounded
from domain.errors import CorruptData
from domain.grading.feedback import percentage
from domain.grading.scores import RuleScore, RuleScores
from domain.text import enumerated

_UNANSWERED: Final = "You did not answer this question, so it gives 0 points."
_UNANSWERED_PROFILE: Final = "You did not answer this question, so it does not affect your skill levels."
_SELF_RATED: Final = "You rated yourself, so no choice is right or wrong."


@dataclass(frozen=True, slots=True)
class _Verdict:
    """The result of a rule. `fraction` (0..1) is exact; None: the item is no evidence for a skill."""

    rule: str
    fraction: Fraction | None
    explanation: str


def score_rules(items: Iterable[Item]) -> RuleScores:
    """Return a score for each item that is not an essay, in order. Equal items give equal scores."""
    return RuleScores(scores=tuple(score_rule(item) for item in items if item.question.kind is not QuestionKind.TEXT))


def score_rule(item: Item) -> RuleScore:
    """Score an answer by its rubric. The result is rounded once, half to even.

    Raises:
        CorruptData: the item is an essay, or its answer is of another kind.
    """
    rubric = item.question.rubric
    if isinstance(rubric, EssayRubric):
        raise CorruptData(f"Item {item.snapshot_id} is an essay, which rules cannot score")
    verdict = _apply_rule(item, rubric)
    worth = Decimal(0) if isinstance(rubric, ScaleRubric) else rubric.points
    return RuleScore(
        snapshot_id=item.snapshot_id,
        points=rounded((verdict.fraction or Fraction(0)) * Fraction(worth)),
        max_points=worth,
        fraction=None if verdict.fraction is None else rounded(verdict.fraction),
        explanation=verdict.explanation,
        rule=verdict.rule,
    )


def explain_without_answer(rule: str, fraction: Decimal | None, reveal: Reveal) -> str:
    """Return the explanation of a score for a student who must not see the right answer."""
    if rule == "unanswered":
        return _UNANSWERED if fraction is not None else _UNANSWERED_PROFILE
    if rule == "profile_evidence":
        return _SELF_RATED
    if fraction == 1:
        return "Correct."
    verdict = f"Partly correct: {_partial(Fraction(fraction))} of the points." if fraction else "Not correct."
    if reveal is Reveal.AFTER_LAST_ATTEMPT:
        return f"{verdict} The right answer is shown after your last attempt."
    return f"{verdict} The right answer is not shown for this role."


def _apply_rule(item: Item, rubric: RuleRubric) -> _Verdict:
    match rubric, item.answer:
        case _, None:
            return _unanswered(rubric)
        case SingleChoiceRubric(), str(choice):
            return _single_choice(rubric, choice)
        case MultipleChoiceRubric(), tuple(choices):
            return _partial_credit(rubric, choices)
        case NumberRubric(), Decimal() as number:
            return _numeric_tolerance(rubric, number, item.question.answer_format.unit)
        case ScaleRubric(), str(choice) if choice in rubric.evidence:
            return _profile_evidence(rubric, choice)
        case _:
            raise CorruptData(f"Item {item.snapshot_id} has an answer of another kind")


def _unanswered(rubric: RuleRubric) -> _Verdict:
    if isinstance(rubric, ScaleRubric):
        return _Verdict("unanswered", None, _UNANSWERED_PROFILE)
    return _Verdict("unanswered", Fraction(0), _UNANSWERED)


def _single_choice(rubric: SingleChoiceRubric, choice: str) -> _Verdict:
    fraction = Fraction(choice == rubric.correct)
    said = f"The correct choice is “{rubric.correct}”."
    return _Verdict("single_choice", fraction, _explain(rubric, fraction, said))


def _partial_credit(rubric: MultipleChoiceRubric, choices: tuple[str, ...]) -> _Verdict:
    correct, chosen = set(rubric.correct), set(choices)
    right, wrong = len(chosen & correct), len(chosen - correct)
    earned = right - Fraction(rubric.penalty) * wrong
    fraction = max(Fraction(0), earned / len(correct))
    said = f"You chose {right} of {len(correct)} correct choices and {wrong} wrong {'one' if wrong == 1 else 'ones'}."
    if wrong and rubric.penalty:
        said += (
            f" Each wrong choice cancels {plain(rubric.penalty)} correct {'one' if rubric.penalty == 1 else 'ones'}."
        )
    listed = enumerated([f"“{choice}”" for choice in rubric.correct])
    are = "choice is" if len(correct) == 1 else "choices are"
    return _Verdict("partial_credit", fraction, _explain(rubric, fraction, f"{said} The correct {are} {listed}."))


def _numeric_tolerance(rubric: NumberRubric, number: Decimal, unit: str | None) -> _Verdict:
    value, share = Fraction(rubric.value), Fraction(rubric.tolerance)
    tolerance = share * abs(value) if rubric.tolerance_kind == "relative" else share
    fraction = Fraction(abs(Fraction(number) - value) <= tolerance)
    said = f"The correct value is {_quantity(rubric.value, unit)}. {_tolerance(rubric, unit)}"
    return _Verdict("numeric_tolerance", fraction, _explain(rubric, fraction, said))


def _profile_evidence(rubric: ScaleRubric, choice: str) -> _Verdict:
    evidence = rubric.evidence[choice]
    skills = enumerated(rubric.skills)
    said = f"{_SELF_RATED} Yours counts as {percentage(evidence)} in {skills}."
    return _Verdict("profile_evidence", Fraction(evidence), said)


def _explain(rubric: SingleChoiceRubric | MultipleChoiceRubric | NumberRubric, fraction: Fraction, said: str) -> str:
    """Build the explanation: the verdict, the right answer, and the rubric's reason if points are missing."""
    if fraction == 1:
        return f"Correct. {said}"
    if fraction == 0:
        return f"Not correct. {said} {rubric.explanation}"
    return f"Partly correct: {_partial(fraction)} of the points. {said} {rubric.explanation}"


def _partial(fraction: Fraction) -> str:
    """Format a share between 0 and 1, which rounding must not turn into 0 % or 100 %."""
    return percentage(min(max(fraction, Fraction(1, 100)), Fraction(99, 100)))


def _tolerance(rubric: NumberRubric, unit: str | None) -> str:
    if rubric.tolerance == 0:
        return "Only this value is accepted."
    if rubric.tolerance_kind == "relative":
        return f"Answers within {plain(rubric.tolerance * 100)} % of it are accepted."
    return f"Answers within {_quantity(rubric.tolerance, unit)} of it are accepted."


def _quantity(value: Decimal, unit: str | None) -> str:
    return f"{plain(value)} {unit}" if unit else plain(value)
