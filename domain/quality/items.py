"""Item analysis after classical test theory: difficulty, discrimination, and the choices of the answers."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, sqrt
from statistics import fmean

from domain.quality.scored_assessments import ItemVersion, ScoredAssessment, ScoredItem


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemStatistics:
    """The figures of one version of a question.

    `n` counts the assessments in which it has points; `ungraded` those that wait for a grade. `mean` is in points.
    `difficulty` is the mean share of the points (0..1), so a high value is an easy item. Both are None for profile
    questions. `correlation` is the corrected item-total correlation (`correlations`). `unanswered` is the share
    (0..1) of the assessments without an answer. `choices` counts the choices of the answers.
    """

    n: int
    ungraded: int
    mean: float | None
    difficulty: float | None
    correlation: float | None
    unanswered: float
    choices: Mapping[str, int]


def item_statistics(assessments: Sequence[ScoredAssessment]) -> dict[ItemVersion, ItemStatistics]:
    """Compute the figures of each item version in the assessments."""
    scored: dict[ItemVersion, list[ScoredItem]] = defaultdict(list)
    for assessment in assessments:
        for item in assessment.items:
            scored[item.item].append(item)
    correlated = correlations(assessments)
    return {version: _statistics(found, correlated.get(version)) for version, found in scored.items()}


def correlations(assessments: Iterable[ScoredAssessment]) -> dict[ItemVersion, float | None]:
    """Return the correlation of each item's points with the share of the points of the assessment's other items.

    The item itself is not part of the total, or it would correlate with itself (Nunnally and Bernstein 1994,
    "Psychometric Theory", chapter 8; `r.drop` of R's psych::alpha). A share stays comparable when other questions were
    added or removed. Assessments with an ungraded item are left out.
    """
    points: dict[ItemVersion, list[float]] = defaultdict(list)
    rest: dict[ItemVersion, list[float]] = defaultdict(list)
    for assessment in assessments:
        if not assessment.is_graded:
            continue
        total, most = assessment.points, assessment.max_points
        for item in assessment.items:
            others = most - item.max_points
            if item.points is not None and item.gives_points and others > 0:
                points[item.item].append(item.points)
                rest[item.item].append((total - item.points) / others)
    return {version: correlation(points[version], rest[version]) for version in points}


def correlation(x: Sequence[float], y: Sequence[float]) -> float | None:
    """Return Pearson's correlation, or None if one side does not vary."""
    if min(len(set(x)), len(set(y))) < 2:  # noqa: PLR2004  # one value does not vary
        return None
    middle_x, middle_y = fmean(x), fmean(y)
    from_x, from_y = [each - middle_x for each in x], [each - middle_y for each in y]
    squares = fsum(each * each for each in from_x) * fsum(each * each for each in from_y)
    return fsum(a * b for a, b in zip(from_x, from_y, strict=True)) / sqrt(squares)


def _statistics(found: Sequence[ScoredItem], correlated: float | None) -> ItemStatistics:
    graded = [item.points for item in found if item.points is not None]
    max_points = found[0].max_points
    mean = fmean(graded) if graded and max_points > 0 else None
    return ItemStatistics(
        n=len(graded),
        ungraded=len(found) - len(graded),
        mean=mean,
        difficulty=None if mean is None else mean / max_points,
        correlation=correlated,
        unanswered=fmean(not item.answered for item in found),
        choices=Counter(choice for item in found for choice in item.chosen),
    )
