"""Schemas of statistics about grades. `docs/quality.md` explains the figures to their readers."""

from typing import Final, Literal, Self

from pydantic import Field

from api.schemas.base import Id, Moment, Output, QueryInput
from api.services.quality import AgreementReport, FairnessReport, ItemReport
from domain.quality.agreement import Agreement, Figures, Sample, Scale
from domain.quality.fairness import AttributeFairness, GroupFigures
from domain.quality.items import ItemStatistics
from domain.quality.mantel_haenszel import DifClass
from domain.quality.scored_assessments import ItemVersion
from persistence.queries.quality import MAX_ROWS, AskedQuestion

FEW: Final = 30
"""Figures from fewer answers carry a warning."""

_FEW = f"True below {FEW}: chance explains most of what the figures show"
_NEWEST = f"Whether only the newest {MAX_ROWS:,} were used, because there may be more"


class AgreementQuery(QueryInput):
    role_id: Id | None = None
    question_id: Id | None = None
    model: str | None = Field(default=None, min_length=1, max_length=128)
    prompt_version: str | None = Field(default=None, min_length=1, max_length=64)
    since: Moment | None = Field(default=None, description="Time of an answer's first review")


class ItemQuery(QueryInput):
    role_id: Id | None = None


class FairnessQuery(QueryInput):
    role_id: Id


class KappaEstimate(Output):
    """A quadratic weighted kappa with its 95 % bootstrap interval. 1 is perfect agreement, 0 is chance."""

    value: float
    low: float
    high: float


class AgreementFigures(Output):
    """Figures of a number of levels. All are absent without levels."""

    levels: int
    exact: float | None = Field(default=None, description="Share (0..1) of levels that the reviewer confirmed")
    adjacent: float | None = Field(default=None, description="Share (0..1) at most one level apart")
    quadratic_kappa: KappaEstimate | None = Field(default=None, description="Absent if only one level occurs")
    few: bool = Field(description=_FEW)

    @classmethod
    def of(cls, figures: Figures) -> Self:
        return cls.read(figures, few=figures.levels < FEW)


class CriterionAgreement(Output):
    """The figures of a criterion. Versions of a question with the same names of levels count together."""

    question_id: Id
    criterion: str
    level_names: list[str] = Field(description="Lowest first")
    agreement: AgreementFigures

    @classmethod
    def of(cls, scale: Scale, figures: Figures) -> Self:
        return cls.read(scale, level_names=scale.levels, agreement=AgreementFigures.of(figures))


class CalibrationBin(Output):
    """The levels with a stated confidence from `low` to `high`."""

    low: float
    high: float
    levels: int
    confidence: float = Field(description="Mean stated confidence (0..1)")
    confirmed: float = Field(description="Share (0..1) that reviewers confirmed")


class SampleAgreement(Output):
    """The agreement on a sample of the reviewed answers.

    `doubted`: marked for review. `audit_sample`: the random share of confident grades that the queue has. `appealed`:
    first reviewed because of an appeal. `other`: a reviewer chose to review a confident grade. `all`: all of them, in a
    mixture that depends on what was reviewed.
    """

    sample: Literal["all", "doubted", "audit_sample", "appealed", "other"]
    answers: int = Field(description="Reviewed answers")
    abstained: int = Field(description="Answers that the grader left to a person; they have no levels to compare")
    overall: AgreementFigures = Field(description="Its kappa is the mean of the criteria, weighted by their levels")
    criteria: list[CriterionAgreement]
    calibration: list[CalibrationBin] = Field(description="Lowest confidence first, without empty bins")
    calibration_error: float | None = Field(
        default=None, description="Mean distance between confidence and confirmed share, weighted by levels"
    )

    @classmethod
    def of(cls, sample: Sample | None, found: Agreement) -> Self:
        criteria = sorted(found.criteria.items(), key=lambda each: (each[0].question_id, each[0].criterion))
        return cls.read(
            found,
            sample=sample.value if sample else "all",
            overall=AgreementFigures.of(found.overall),
            criteria=[CriterionAgreement.of(scale, figures) for scale, figures in criteria],
        )


class GradingAgreement(Output):
    newest_only: bool = Field(description=_NEWEST)
    samples: list[SampleAgreement]

    @classmethod
    def of(cls, report: AgreementReport) -> Self:
        samples = [SampleAgreement.of(sample, found) for sample, found in report.samples.items()]
        return cls(newest_only=report.newest_only, samples=samples)


class ChoiceCount(Output):
    choice: str
    count: int
    correct: bool | None = Field(default=None, description="Absent for profile questions")


class ItemFigures(Output):
    """The figures of one version of a question. Another wording or key is another version."""

    question_id: Id
    version: str
    role_id: Id
    kind: Literal["single", "multiple", "number", "scale", "text"]
    prompt: str
    n: int = Field(description="Assessments in which the question was asked and has points")
    ungraded: int = Field(description="Assessments in which it waits for its first grade")
    few: bool = Field(description=_FEW)
    mean: float | None = Field(default=None, description="Mean points. Absent for profile questions")
    difficulty: float | None = Field(
        default=None, description="Mean share (0..1) of the points: high is easy. Absent for profile questions"
    )
    item_total_correlation: float | None = Field(
        default=None,
        description="Correlation of the points with the share of the points of the other questions (corrected "
        "item-total correlation). Absent if one of them does not vary",
    )
    unanswered: float = Field(description="Share (0..1) of assessments without an answer, which gives 0 points")
    choices: list[ChoiceCount] | None = Field(
        default=None, description="From answers that retention has not deleted; absent for kinds without choices"
    )

    @classmethod
    def of(cls, item: ItemVersion, question: AskedQuestion, figures: ItemStatistics) -> Self:
        return cls.read(
            figures,
            **item._asdict(),
            role_id=question.role_id,
            kind=question.kind,
            prompt=question.prompt,
            few=figures.n < FEW,
            item_total_correlation=figures.correlation,
            choices=_choices(question, figures),
        )


class ItemAnalysis(Output):
    """The items by role, in the order of the assessment. `assessments` counts the assessments used, one per student."""

    assessments: int
    newest_only: bool = Field(description=_NEWEST)
    items: list[ItemFigures]

    @classmethod
    def of(cls, report: ItemReport) -> Self:
        return cls.read(report, items=[ItemFigures.of(*each) for each in report.items])


class MantelHaenszelDif(Output):
    """`d_dif` is on the delta scale of ETS: negative is harder for the group than for the reference group."""

    dif_class: DifClass = Field(description="A: negligible, B: moderate, C: large")
    d_dif: float
    standard_error: float
    odds_ratio: float = Field(description="Odds of a right answer in the reference group divided by the group's odds")
    chi_square: float
    p_value: float


class LogisticDif(Output):
    """`log_odds` is the group's effect at the same total; negative is harder for the group.

    The non-uniform test, whether the effect depends on the total, is absent without an estimate.
    """

    log_odds: float
    uniform_chi_square: float
    uniform_p_value: float
    non_uniform_chi_square: float | None = None
    non_uniform_p_value: float | None = None


class ItemFairness(Output):
    """The comparison of a group with the reference group. A method without an estimate is absent."""

    question_id: Id
    version: str
    prompt: str
    mantel_haenszel: MantelHaenszelDif | None = None
    logistic: LogisticDif | None = None


class GroupFairness(Output):
    group: str
    n: int
    mean: float = Field(description="Mean share (0..1) of the points")
    standardised_mean_difference: float | None = Field(
        default=None,
        description="Difference from the reference group in standard deviations. Absent for the reference group",
    )
    items: list[ItemFairness] | None = Field(default=None, description="Absent for the reference group")

    @classmethod
    def of(cls, figures: GroupFigures, report: FairnessReport) -> Self:
        by_item = {each.item: each for each in figures.items}
        items = [
            ItemFairness.read(by_item[item], **item._asdict(), prompt=question.prompt)
            for item, question in report.questions.items()  # in the order of the assessment
            if item in by_item
        ]
        return cls.read(figures, standardised_mean_difference=figures.mean_difference, items=items or None)


class AttributeGroups(Output):
    attribute: str
    reference: str | None = Field(default=None, description="The largest group. Absent if every group is too small")
    groups: list[GroupFairness] = Field(description="The reference group first")
    too_small: list[str] = Field(description="Groups with fewer than `min_group` students: they get no figures")

    @classmethod
    def of(cls, found: AttributeFairness, report: FairnessReport) -> Self:
        groups = [GroupFairness.of(each, report) for each in found.groups]
        return cls.read(found, reference=groups[0].group if groups else None, groups=groups)


class GroupComparison(Output):
    """`attributes` is empty if no group is stored for any of the students."""

    assessments: int = Field(description="Assessments compared, one per student")
    left_out: int = Field(description="Assessments with other versions of the questions or with an ungraded item")
    newest_only: bool = Field(description=_NEWEST)
    min_group: int
    attributes: list[AttributeGroups]

    @classmethod
    def of(cls, report: FairnessReport, min_group: int) -> Self:
        attributes = [AttributeGroups.of(each, report) for each in report.fairness.attributes]
        return cls.read(report.fairness, newest_only=report.newest_only, min_group=min_group, attributes=attributes)


def _choices(question: AskedQuestion, figures: ItemStatistics) -> list[ChoiceCount] | None:
    """Return the counts in the question's order, with choices that were never chosen."""
    if question.choices is None:
        return None
    return [
        ChoiceCount(
            choice=choice,
            count=figures.choices.get(choice, 0),
            correct=None if question.correct is None else choice in question.correct,
        )
        for choice in question.choices
    ]
