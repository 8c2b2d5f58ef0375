"""The steps of a run. `async_jobs`, task queues and the Web UI use these names."""

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
    """Return the snapshot ids of the answered essays, in the assessment's order."""
    return tuple(
        item.snapshot_id for item in items if item.question.kind is QuestionKind.TEXT and item.answer is not None
    )


def submission_jobs(assessment: Assessment, items: Iterable[Item]) -> tuple[JobKey, ...]:
    """Return the jobs of a submitted assessment: one for each step and one for each answered essay."""
    steps: list[tuple[Step, UUID | None]] = [(Step.SCORE_RULES, None)]
    steps += [(Step.SCORE_ESSAY, essay) for essay in answered_essays(items)]
    steps += [(step, None) for step in (Step.RETRIEVE_EVIDENCE, Step.BLEND_RECOMMENDATIONS, Step.PUBLISH_RESULT)]
    return _jobs(assessment, steps)


def revision_jobs(assessment: Assessment, essays: Iterable[UUID]) -> tuple[JobKey, ...]:
    """Return the jobs of a later revision: grading of `essays`, and all steps after scoring."""
    steps: list[tuple[Step, UUID | None]] = [(Step.SCORE_ESSAY, essay) for essay in essays]
    steps += [(step, None) for step in (Step.RETRIEVE_EVIDENCE, Step.BLEND_RECOMMENDATIONS, Step.PUBLISH_RESULT)]
    return _jobs(assessment, steps)


def _jobs(assessment: Assessment, steps: Iterable[tuple[Step, UUID | None]]) -> tuple[JobKey, ...]:
    """Return job keys for the assessment's next revision."""
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
