"""The difference between a published result and the re-scored one, as the report shows it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from uuid import UUID

from domain.assessments.results import Result, Scores
from domain.recommending.recommendations import Blend, Evidence
from domain.recommending.skills import SkillGap
from domain.rescores.comparison import (
    PublishedResult,
    RecommendedCredential,
    Rescored,
    Task,
    gaps_changed,
    levels_of,
    scores_by_item,
    scores_changed,
    total_points,
)
from domain.rescores.rescores import DifferenceOutcome


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemDifference:
    """An item of the task. Points are None where a grader abstained; levels are those of essays, by criterion.

    `not_comparable` is the reason why the published score stays.
    """

    question_id: UUID
    old_points: Decimal | None
    new_points: Decimal | None
    old_max_points: Decimal
    new_max_points: Decimal
    old_levels: Mapping[str, str] = field(default_factory=dict)
    new_levels: Mapping[str, str] = field(default_factory=dict)
    not_comparable: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillDifference:
    """A skill whose score or target changes. Scores and targets are 0..1; None: unknown, or not in that result."""

    skill: str
    old_score: Decimal | None
    new_score: Decimal | None
    old_target: Decimal | None
    new_target: Decimal | None

    @property
    def reached(self) -> bool:
        """Whether the new score reaches the target and the old one did not."""
        return _reaches(self.new_score, self.new_target) and not _reaches(self.old_score, self.old_target)

    @property
    def fell_below(self) -> bool:
        """Whether the old score reached the target and the new one does not."""
        return _reaches(self.old_score, self.old_target) and not _reaches(self.new_score, self.new_target)


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What would change in one assessment. `credentials_in` and `credentials_out` are newly and no longer recommended.

    `reached_targets` and `missed_targets` are skills whose score would rise to the target or fall below it.
    `problem` tells why the whole assessment cannot be compared.
    """

    items: tuple[ItemDifference, ...] = ()
    skills: tuple[SkillDifference, ...] = ()
    credentials_in: tuple[RecommendedCredential, ...] = ()
    credentials_out: tuple[RecommendedCredential, ...] = ()
    reached_targets: tuple[str, ...] = ()
    missed_targets: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Everything that publishing needs. `versions` has the question versions of items that are scored by a new one."""

    scores: Scores
    evidence: Evidence
    blend: Blend
    versions: Mapping[UUID, str] = field(default_factory=dict)

    @property
    def result(self) -> Result:
        return Result(
            rule_scores=self.scores.rules,
            essay_scores=self.scores.essays,
            evidence=self.evidence,
            blend=self.blend,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The finished comparison of one assessment with its revision `revision` of run `run`.

    `proposal` is set if the outcome is `changed`.
    """

    assessment_id: UUID
    run: int
    revision: int
    outcome: DifferenceOutcome
    old_points: Decimal
    new_points: Decimal
    difference: Difference
    proposal: Proposal | None = None


def needs_recommendations(before: PublishedResult, rescored: Rescored, gaps: Iterable[SkillGap]) -> bool:
    """Return whether the result changes, so that its recommendations must be computed again."""
    return scores_changed(before, rescored.scores) or gaps_changed(before, gaps)


def unchanged(before: PublishedResult, task: Task, rescored: Rescored) -> Comparison:
    """Return the comparison of a result that stays as it is."""
    outcome = DifferenceOutcome.NOT_COMPARABLE if rescored.not_comparable else DifferenceOutcome.SAME
    return _comparison(before, rescored, outcome, Difference(items=_items(before, task, rescored)))


def incomparable(before: PublishedResult, problem: str) -> Comparison:
    """Return the comparison of a result that cannot be scored again at all."""
    kept = Rescored(items=before.items, scores=before.scores)
    return _comparison(before, kept, DifferenceOutcome.NOT_COMPARABLE, Difference(problem=problem))


def compare(before: PublishedResult, task: Task, rescored: Rescored, evidence: Evidence, blend: Blend) -> Comparison:
    """Return the comparison of a result whose recommendations were computed again."""
    new = [RecommendedCredential(credential_id=item.credential_id, title=item.title) for item in blend.items]
    old_ids = [each.credential_id for each in before.credentials]
    new_ids = [each.credential_id for each in new]
    if old_ids == new_ids and not needs_recommendations(before, rescored, evidence.gaps):
        return unchanged(before, task, rescored)
    skills = _skills(before, evidence.gaps)
    difference = Difference(
        items=_items(before, task, rescored),
        skills=skills,
        credentials_in=tuple(each for each in new if each.credential_id not in old_ids),
        credentials_out=tuple(each for each in before.credentials if each.credential_id not in new_ids),
        reached_targets=tuple(each.skill for each in skills if each.reached),
        missed_targets=tuple(each.skill for each in skills if each.fell_below),
    )
    proposal = Proposal(scores=rescored.scores, evidence=evidence, blend=blend, versions=rescored.versions(before))
    return _comparison(before, rescored, DifferenceOutcome.CHANGED, difference, proposal)


def _comparison(
    before: PublishedResult,
    rescored: Rescored,
    outcome: DifferenceOutcome,
    difference: Difference,
    proposal: Proposal | None = None,
) -> Comparison:
    return Comparison(
        assessment_id=before.assessment.id,
        run=before.assessment.run,
        revision=before.assessment.revision,
        outcome=outcome,
        old_points=total_points([*before.scores.rules, *before.scores.essays]),
        new_points=total_points([*rescored.scores.rules, *rescored.scores.essays]),
        difference=difference,
        proposal=proposal,
    )


def _items(before: PublishedResult, task: Task, rescored: Rescored) -> tuple[ItemDifference, ...]:
    """Return the items of the task, and other items whose score changes because of a review."""
    old, new = scores_by_item(before.scores), scores_by_item(rescored.scores)
    return tuple(
        ItemDifference(
            question_id=item.question.id,
            old_points=old[item.snapshot_id].points,
            new_points=new[item.snapshot_id].points,
            old_max_points=old[item.snapshot_id].max_points,
            new_max_points=new[item.snapshot_id].max_points,
            old_levels=levels_of(old[item.snapshot_id]),
            new_levels=levels_of(new[item.snapshot_id]),
            not_comparable=rescored.not_comparable.get(item.snapshot_id),
        )
        for item in before.items
        if item.snapshot_id in old
        and (task.covers(item) or old[item.snapshot_id].points != new[item.snapshot_id].points)
    )


def _skills(before: PublishedResult, gaps: Iterable[SkillGap]) -> tuple[SkillDifference, ...]:
    old = {skill.skill: skill for skill in before.skills}
    new = {gap.skill: gap for gap in gaps}
    differences = [
        SkillDifference(
            skill=skill,
            old_score=old[skill].score if skill in old else None,
            new_score=new[skill].score if skill in new else None,
            old_target=old[skill].target if skill in old else None,
            new_target=new[skill].target if skill in new else None,
        )
        for skill in sorted(old.keys() | new.keys())
    ]
    return tuple(each for each in differences if (each.old_score, each.old_target) != (each.new_score, each.new_target))


def _reaches(score: Decimal | None, target: Decimal | None) -> bool:
    return score is not None and target is not None and score >= target
