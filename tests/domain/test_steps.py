from datetime import UTC, datetime

from domain.assessments.lifecycle import Assessment, AssessmentStatus
from domain.assessments.steps import Step, answered_essays, submission_jobs
from tests.domain.builders import an_id, essay, item, single

ITEMS = [
    item(essay(), "A text.", name="written"),
    item(essay(), name="blank"),
    item(single(), "red", name="choice"),
]


def an_assessment(*, run: int = 1, revision: int = 0) -> Assessment:
    return Assessment(
        id=an_id("assessment"),
        user_id=an_id("student"),
        organization_id=an_id("organization"),
        role_id=an_id("role"),
        status=AssessmentStatus.AWAITING_ASYNC,
        run=run,
        revision=revision,
        expires_at=datetime(2026, 1, 5, tzinfo=UTC),
    )


def test_only_written_texts_are_answered_essays() -> None:
    assert answered_essays(ITEMS) == (an_id("written"),)


def test_a_submission_queues_every_step_and_every_written_essay() -> None:
    assert [(job.step, job.item) for job in submission_jobs(an_assessment(), ITEMS)] == [
        (Step.SCORE_RULES, None),
        (Step.SCORE_ESSAY, an_id("written")),
        (Step.RETRIEVE_EVIDENCE, None),
        (Step.BLEND_RECOMMENDATIONS, None),
        (Step.PUBLISH_RESULT, None),
    ]


def test_jobs_of_another_run_or_revision_are_other_rows() -> None:
    attempts = [an_assessment(), an_assessment(run=2), an_assessment(revision=1)]
    ids = {job.id for attempt in attempts for job in submission_jobs(attempt, ITEMS)}
    assert len(ids) == 15
