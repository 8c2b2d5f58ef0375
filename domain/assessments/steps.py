"""The steps of a run, by the names that `async_jobs`, task queues and the Web UI share."""

from collections.abc import Iterable
from enum import StrEnum
from uuid import UUID

from domain.assessments.lifecycle import Assessment
from domain.assessments.ports import JobKey
from domain.assessments.questions import Item, QuestionKind


class Step(StrEnum):
    SCORE_RULES = "score_rules"
    SCORE_ESSAY = "score_essay"
    RETRIEVE_EVIDENCE = "retrieve_evidence"
    BLEND_RECOMMENDATIONS = "blend_recommendations"
    PUBLISH_RESULT = "publish_result"


def answered_essays(items: Iterable[Item]) -> tuple[UUID, ...]:
    """The snapshots of the texts that somebody wrote, in the assessment's order."""
    return tuple(
        item.snapshot_id for item in items if item.question.kind is QuestionKind.TEXT and item.answer is not None
    )


def submission_jobs(assessment: Assessment, items: Iterable[Item]) -> tuple[JobKey, ...]:
    """The jobs queued when an assessment is submitted: one a step, and one an answered essay."""
    steps: list[tuple[Step, UUID | None]] = [(Step.SCORE_RULES, None)]
    steps += [(Step.SCORE_ESSAY, essay) for essay in answered_essays(items)]
    steps += [(step, None) for step in (Step.RETRIEVE_EVIDENCE, Step.BLEND_RECOMMENDATIONS, Step.PUBLISH_RESULT)]
    return _jobs(assessment, steps)


def revision_jobs(assessment: Assessment, essays: Iterable[UUID]) -> tuple[JobKey, ...]:
    """The jobs of a later revision: the essays graded anew, and everything that follows from scores."""
    steps: list[tuple[Step, UUID | None]] = [(Step.SCORE_ESSAY, essay) for essay in essays]
    steps += [(step, None) for step in (Step.RETRIEVE_EVIDENCE, Step.BLEND_RECOMMENDATIONS, Step.PUBLISH_RESULT)]
    return _jobs(assessment, steps)


def _jobs(assessment: Assessment, steps: Iterable[tuple[Step, UUID | None]]) -> tuple[JobKey, ...]:
    """Of the revision that comes next."""
    return tuple(
        JobKey(
            assessment_id=assessment.id,
            run=assessment.run,
            revision=assessment.revision + 1,
            step=step,
            item=item,
        )
        for step, item in steps
    )
