"""The stage of a submitted assessment, derived from the jobs of its run."""

from typing import Final

from sqlalchemy import ColumnElement, case, func, literal, null, select

from domain.assessments.lifecycle import AssessmentStatus
from domain.assessments.steps import Step
from persistence.tables import AssessmentRow, AsyncJobRow
from persistence.tables.base import table_of

QUEUED: Final = "queued"
"""No worker has taken the submission yet."""
STAGES: Final = {
    Step.SCORE_RULES: "scoring",
    Step.SCORE_ESSAY: "scoring",
    Step.RETRIEVE_EVIDENCE: "retrieving",
    Step.BLEND_RECOMMENDATIONS: "recommending",
    Step.PUBLISH_RESULT: "publishing",
}
"""The stage of each step, in the order of the steps."""

_job: Final = table_of(AsyncJobRow).c
_ORDER: Final = tuple(dict.fromkeys(STAGES.values()))


def current_stage() -> ColumnElement[str]:
    """Return the stage of an assessment that awaits its first result; NULL for any other assessment.

    It is the stage of the first step that has not succeeded.
    """
    places = {step.value: _ORDER.index(stage) for step, stage in STAGES.items()}
    first = (
        select(func.min(case(places, value=_job.job_type)))
        .where(
            _job.assessment_id == AssessmentRow.id,
            _job.run == AssessmentRow.run,
            _job.revision == 1,
            _job.status != "succeeded",
        )
        .correlate(AssessmentRow)
        .scalar_subquery()
    )
    named = case(dict(enumerate(_ORDER)), value=first, else_=_ORDER[0])
    return case(
        (AssessmentRow.status != AssessmentStatus.AWAITING_ASYNC.value, null()),
        (AssessmentRow.claimed_at.is_(None), literal(QUEUED)),
        else_=named,
    )
