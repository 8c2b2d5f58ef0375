"""Whether groups of students differ in their scores, and whether an item is harder for a group at the same ability.

A difference between groups is not yet unfair: they may differ in what they know. Differential item functioning (DIF)
therefore compares students of both groups with the same total.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, variance
from typing import Final

from domain.quality.logistic import Count, LogisticDif, Person, logistic_dif
from domain.quality.mantel_haenszel import MantelHaenszel, Stratum, mantel_haenszel
from domain.quality.scored_assessments import ItemVersion, ScoredAssessment, ScoredItem

MIN_GROUP: Final = 20
"""Smaller groups get no figures: they would be noise, and could tell something about single students."""
RIGHT_FROM: Final = 0.5
"""An answer counts as right from this share of its points. Both DIF methods compare right with wrong answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDif:
    """The figures of an item; None where there is no estimate."""

    item: ItemVersion
    mantel_haenszel: MantelHaenszel | None
    logistic: LogisticDif | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFigures:
    """A group: its number of students and their mean share of the points (0..1).

    For groups other than the reference group: `mean_difference` is the difference from the reference group in standard
    deviations, and `items` has the DIF of each item.
    """

    group: str
    n: int
    mean: float
    mean_difference: float | None = None
    items: tuple[ItemDif, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeFairness:
    """The groups of an attribute. The reference group is the largest one and the first of `groups`.

    `too_small` has the names of the groups with fewer than MIN_GROUP students.
    """

    attribute: str
    groups: tuple[GroupFigures, ...]
    too_small: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fairness:
    """`assessments` counts those compared, `left_out` those with other question versions or an ungraded item."""

    assessments: int
    left_out: int
    attributes: tuple[AttributeFairness, ...]


def fairness(assessments: Sequence[ScoredAssessment]) -> Fairness:
    """Compare the groups of every attribute. The assessments are of one role and one per student.

    Only the assessments with the most frequent set of question versions are compared, because totals of different tests
    do not compare.
    """
    compared = _same_test(assessments)
    attributes = sorted({attribute for assessment in compared for attribute in assessment.groups})
    return Fairness(
        assessments=len(compared),
        left_out=len(assessments) - len(compared),
        attributes=tuple(_attribute(attribute, compared) for attribute in attributes),
    )


def standardised_mean_difference(reference: Sequence[float], focal: Sequence[float]) -> float | None:
    """Return Cohen's d, focal minus reference, with the pooled standard deviation (Cohen 1988, chapter 2).

    None if no value differs from another of its group.
    """
    degrees = len(reference) + len(focal) - 2
    pooled = ((len(reference) - 1) * variance(reference) + (len(focal) - 1) * variance(focal)) / degrees
    return (fmean(focal) - fmean(reference)) / sqrt(pooled) if pooled > 0 else None


def _same_test(assessments: Iterable[ScoredAssessment]) -> list[ScoredAssessment]:
    """Return the graded assessments with the most frequent set of question versions, or of several the first."""
    by_test: dict[frozenset[ItemVersion], list[ScoredAssessment]] = defaultdict(list)
    for assessment in assessments:
        test = frozenset(item.item for item in assessment.items if item.gives_points)
        if test and assessment.is_graded:
            by_test[test].append(assessment)
    return max(by_test.values(), key=len, default=[])


def _attribute(attribute: str, assessments: Iterable[ScoredAssessment]) -> AttributeFairness:
    members: dict[str, list[ScoredAssessment]] = defaultdict(list)
    for assessment in assessments:
        if attribute in assessment.groups:
            members[assessment.groups[attribute]].append(assessment)
    large = {group: members[group] for group in sorted(members) if len(members[group]) >= MIN_GROUP}
    names = sorted(large, key=lambda group: -len(large[group]))
    figures = [_figures(group, large[group], None if group == names[0] else large[names[0]]) for group in names]
    return AttributeFairness(
        attribute=attribute, groups=tuple(figures), too_small=tuple(sorted(members.keys() - large.keys()))
    )


def _figures(
    group: str, focal: Sequence[ScoredAssessment], reference: Sequence[ScoredAssessment] | None
) -> GroupFigures:
    shares = _shares(focal)
    if reference is None:
        return GroupFigures(group=group, n=len(focal), mean=fmean(shares))
    return GroupFigures(
        group=group,
        n=len(focal),
        mean=fmean(shares),
        mean_difference=standardised_mean_difference(_shares(reference), shares),
        items=_items(reference, focal),
    )


def _shares(assessments: Iterable[ScoredAssessment]) -> list[float]:
    return [assessment.points / assessment.max_points for assessment in assessments]


def _items(reference: Sequence[ScoredAssessment], focal: Sequence[ScoredAssessment]) -> tuple[ItemDif, ...]:
    """Compute the DIF of each item. Students are matched by their number of right answers, the item included."""
    rights: dict[ItemVersion, Counter[Person]] = defaultdict(Counter)
    wrongs: dict[ItemVersion, Counter[Person]] = defaultdict(Counter)
    for members, is_focal in ((reference, False), (focal, True)):
        for assessment in members:
            verdicts = {item.item: _is_right(item) for item in assessment.items if item.gives_points}
            person = Person(total=sum(verdicts.values()), focal=is_focal)
            for version, right in verdicts.items():
                (rights if right else wrongs)[version][person] += 1
    order = [item.item for item in reference[0].items if item.gives_points]
    return tuple(_item(version, rights[version], wrongs[version]) for version in order)


def _is_right(item: ScoredItem) -> bool:
    return (item.points or 0) >= RIGHT_FROM * item.max_points


def _item(version: ItemVersion, rights: Mapping[Person, int], wrongs: Mapping[Person, int]) -> ItemDif:
    def count(person: Person) -> Count:
        return Count(rights.get(person, 0), wrongs.get(person, 0))

    people = sorted({*rights, *wrongs})
    strata = [
        Stratum(*count(Person(total, focal=False)), *count(Person(total, focal=True)))
        for total in sorted({person.total for person in people})
    ]
    return ItemDif(
        item=version,
        mantel_haenszel=mantel_haenszel(strata),
        logistic=logistic_dif({person: count(person) for person in people}),
    )
