"""The rule engine: exact points for everything but texts, each with the rule used and an explanation."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

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
from domain.grading.scores import RuleScore, RuleScores


@dataclass(frozen=True, slots=True)
class _Verdict:
    """`fraction` 0..1 is exact; None where the item says nothing."""

    rule: str
    fraction: Fraction | None
    explanation: str


def score_rules(items: Iterable[Item]) -> RuleScores:
    """One score for every item that is no text, in order; the same items always give the same scores."""
    return RuleScores(scores=tuple(score_rule(item) for item in items if item.question.kind is not QuestionKind.TEXT))


def score_rule(item: Item) -> RuleScore:
    """What the item's rubric makes of its answer, rounded once, half to even.

    Raises:
        CorruptData: the item is a text, or its answer is not of its kind.
    """
    rubric = item.question.rubric
    if isinstance(rubric, EssayRubric):
        raise CorruptData(f"Item {item.snapshot_id} is a text, which no rule can score")
    verdict = _judge(item, rubric)
    worth = Decimal(0) if isinstance(rubric, ScaleRubric) else rubric.points
    return RuleScore(
        snapshot_id=item.snapshot_id,
        points=rounded((verdict.fraction or Fraction(0)) * Fraction(worth)),
        max_points=worth,
        fraction=None if verdict.fraction is None else rounded(verdict.fraction),
        explanation=verdict.explanation,
        rule=verdict.rule,
    )


def _judge(item: Item, rubric: RuleRubric) -> _Verdict:
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
        return _Verdict("unanswered", None, "Not answered, so it says nothing about your skills.")
    return _Verdict("unanswered", Fraction(0), "Not answered, so it gives no points.")


def _single_choice(rubric: SingleChoiceRubric, choice: str) -> _Verdict:
    fraction = Fraction(choice == rubric.correct)
    said = f"The right choice is “{rubric.correct}”."
    return _Verdict("single_choice", fraction, _explain(rubric, fraction, said))


def _partial_credit(rubric: MultipleChoiceRubric, choices: tuple[str, ...]) -> _Verdict:
    correct, chosen = set(rubric.correct), set(choices)
    right, wrong = len(chosen & correct), len(chosen - correct)
    earned = right - Fraction(rubric.penalty) * wrong
    fraction = max(Fraction(0), earned / len(correct))
    said = f"Right choices found: {right} of {len(correct)}; wrong ones chosen: {wrong}"
    if wrong and rubric.penalty:
        said += f", each of which takes away what {plain(rubric.penalty)} right ones give"
    listed = "; ".join(f"“{choice}”" for choice in rubric.correct)
    return _Verdict("partial_credit", fraction, _explain(rubric, fraction, f"{said}. Right are: {listed}."))


def _numeric_tolerance(rubric: NumberRubric, number: Decimal, unit: str | None) -> _Verdict:
    value, share = Fraction(rubric.value), Fraction(rubric.tolerance)
    tolerance = share * abs(value) if rubric.tolerance_kind == "relative" else share
    fraction = Fraction(abs(Fraction(number) - value) <= tolerance)
    said = f"The value is {_quantity(rubric.value, unit)}; {_tolerance(rubric, unit)}."
    return _Verdict("numeric_tolerance", fraction, _explain(rubric, fraction, said))


def _profile_evidence(rubric: ScaleRubric, choice: str) -> _Verdict:
    evidence = rubric.evidence[choice]
    said = f"Your own account, neither right nor wrong: it counts as {plain(evidence)} of 1 for "
    return _Verdict("profile_evidence", Fraction(evidence), said + ", ".join(rubric.skills) + ".")


def _explain(rubric: SingleChoiceRubric | MultipleChoiceRubric | NumberRubric, fraction: Fraction, said: str) -> str:
    """The verdict, what is right, and the rubric's reason where the answer was not all right."""
    if fraction == 1:
        return f"Correct. {said}"
    return f"{'Partly correct' if fraction else 'Not correct'}. {said} {rubric.explanation}"


def _tolerance(rubric: NumberRubric, unit: str | None) -> str:
    if rubric.tolerance == 0:
        return "only that counts"
    if rubric.tolerance_kind == "relative":
        return f"an answer up to {plain(rubric.tolerance * 100)} % away counts"
    return f"an answer up to {_quantity(rubric.tolerance, unit)} away counts"


def _quantity(value: Decimal, unit: str | None) -> str:
    return f"{plain(value)} {unit}" if unit else plain(value)
