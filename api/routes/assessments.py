"""Start an assessment, submit answers, read its status."""

from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Query, Response
from pydantic import BeforeValidator, Field

from api.dependencies import PrincipalDep, ScopeDep, ServicesDep
from api.idempotency import REPLAYED, CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.preferences import APPLIED_HEADER, WaitDep
from api.result_wait import read_when_ready
from api.routes.results import result_response
from api.schemas.assessments import (
    IN_REVIEW,
    AssessmentList,
    AssessmentQuestions,
    AssessmentResponseBatch,
    AssessmentStartRequest,
    AssessmentStartResponse,
    AssessmentStatus,
    AssessmentSubmissionAck,
    AssessmentSummary,
    Progress,
    QuestionSnapshot,
    Status,
    StoredAnswer,
)
from api.schemas.base import Id, Moment, boolean
from api.schemas.cursors import PageQuery
from api.schemas.errors import answers
from api.schemas.people import SearchText
from api.schemas.results import AssessmentResult
from api.security.authorization import is_staff
from api.services.assessments import AssessmentService
from api.services.use_cases import require
from api.workflow_engine import ensure_run, notify_engine
from domain.assessments.answers import SubmittedAnswer
from domain.assessments.lifecycle import AssessmentStatus as State
from domain.errors import InvalidAssessmentState, InvalidInput, Problem, StorageUnavailable
from persistence.queries.views import AssessmentFilter, StatusView
from persistence.repositories.student_assessments import NewAssessment
from persistence.request_database import RequestUnitOfWork

SUBMITTED: Final = "Submitted; the result is being prepared"
HOW_TO_SUBMIT: Final = "send completed: true to submit the assessment"
SUBMITTED_ENGINE_DOWN: Final = (
    "Submitted and stored. The workflow engine is unavailable; processing starts within a minute after it recovers."
)

PUBLISHED: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "model": AssessmentResult,
        "description": "The result was published within the time that `Prefer: wait` allows",
        "headers": APPLIED_HEADER,
    }
}

assessments = router(prefix="/assessments", tags=["Assessments"])


@assessments.post(
    "/start",
    status_code=201,
    response_model=AssessmentStartResponse,
    summary="Start a new assessment",
    response_description="Assessment created",
    responses=answers(400, 401, 403, 409, 413, 415, 422),
)
async def start_assessment(body: AssessmentStartRequest, scope: ScopeDep, command: IdempotencyDep) -> Response:
    """A student has at most one open assessment of a role. 409 names it in `details.assessment_id`."""
    new = NewAssessment(
        organization_id=scope.organization_id,
        role_id=body.role_id,
        metadata=body.metadata,
        duration=timedelta(hours=command.services.settings.assessment_hours),
    )

    async def start(uow: RequestUnitOfWork) -> CommandResult:
        started = await AssessmentService(uow).start(new, command.actor)
        opened = AssessmentStartResponse(
            assessment_id=started.assessment.id,
            status="in_progress",
            expires_at=started.assessment.expires_at,
            questions=[QuestionSnapshot.of(item) for item in started.items],
        )
        run = partial(ensure_run, command.services.runs)
        closed = [started.closed] if started.closed else []
        return CommandResult(response=opened, after_commit=[partial(notify_engine, run, each) for each in closed])

    return await command.execute(start)


class AssessmentQuery(PageQuery):
    status: Status | None = None
    role_id: Id | None = None
    user_id: Id | None = None
    degraded: Annotated[bool | None, BeforeValidator(boolean)] = None
    needs_review: Annotated[bool | None, BeforeValidator(boolean)] = None
    appealed: Annotated[bool | None, BeforeValidator(boolean)] = Field(
        default=None, description="Whether an appeal of the assessment is open"
    )
    released: Annotated[bool | None, BeforeValidator(boolean)] = Field(
        default=None, description="`false`: the results that are held. Only advisors and admins find held results"
    )
    since: Moment | None = Field(default=None, description="Started at this time or later")
    cohort_id: Id | None = Field(default=None, description="Only of students who are now in the cohort")
    q: SearchText | None = None


@assessments.get("", summary="List assessments", responses=answers(400, 401, 403))
async def list_assessments(
    query: Annotated[AssessmentQuery, Query()], services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> AssessmentList:
    """List a student's own assessments, or for advisors and admins those of the organization. Newest first.

    Only advisors and admins get the student, the role and the waiting reviews, and may search by `q`.
    """
    staff = is_staff(principal)
    if query.q is not None and not staff:
        raise InvalidInput("The request is not valid", (Problem("q", "is only for advisors and admins"),))
    filters = AssessmentFilter(**query.filters())
    if staff:
        listed = await services.queries.assessments_for_staff(scope, filters, query.limit + 1)
        shown, next_cursor = query.page(listed, lambda last: last.assessment_id)
        return AssessmentList(items=[AssessmentSummary.for_staff(view) for view in shown], next_cursor=next_cursor)
    views = await services.queries.assessments(scope, filters, query.limit + 1)
    page, next_cursor = query.page(views, lambda last: last.assessment_id)
    return AssessmentList(items=[AssessmentSummary.of(view) for view in page], next_cursor=next_cursor)


@assessments.get(
    "/{assessment_id}/questions",
    summary="Resume: read the questions and the stored answers",
    responses=answers(400, 401, 403, 404),
)
async def read_questions(assessment_id: Id, services: ServicesDep, scope: ScopeDep) -> AssessmentQuestions:
    view = await _status(assessment_id, services, scope)
    async with services.database.transaction() as uow:
        items = await uow.assessments.items(assessment_id)
    return AssessmentQuestions(
        assessment_id=assessment_id,
        status=view.status,
        expires_at=view.expires_at,
        questions=[QuestionSnapshot.of(item) for item in items],
        responses=[StoredAnswer.of(item) for item in items if item.answer is not None],
    )


@assessments.post(
    "/{assessment_id}/responses",
    status_code=202,
    summary="Submit responses batch",
    response_model=AssessmentSubmissionAck,
    response_description="Accepted; async processing queued when complete",
    responses={**answers(400, 401, 403, 404, 409, 413, 415, 422), **PUBLISHED, 202: {"headers": APPLIED_HEADER}},
)
async def submit_responses(
    assessment_id: Id, batch: AssessmentResponseBatch, scope: ScopeDep, command: IdempotencyDep, preference: WaitDep
) -> Response:
    """Store all answers or none. A new answer replaces the stored one. `completed` submits the assessment.

    With `completed` and `Prefer: wait=N`, the response is the result (200) if it is published within N seconds.
    """
    submitted_answers = [
        SubmittedAnswer(question_id=item.question_id, raw=item.answer, claimed_at=item.submitted_at)
        for item in batch.responses
    ]

    async def submit(uow: RequestUnitOfWork) -> CommandResult:
        service = AssessmentService(uow)
        receipt = await service.submit(
            assessment_id, scope, command.actor, submitted_answers, completed=batch.completed
        )
        submitted = receipt.assessment.status is State.AWAITING_ASYNC
        after_commit = [partial(notify_engine, command.services.runs.submit, receipt.assessment)] if submitted else []
        if receipt.expired:
            return CommandResult(
                response=InvalidAssessmentState("Assessment has expired, answers are no longer accepted"),
                after_commit=after_commit,
            )
        ack = AssessmentSubmissionAck(
            assessment_id=assessment_id,
            status="awaiting_async" if submitted else "in_progress",
            async_job_enqueued=submitted,
            message=SUBMITTED if submitted else f"{len(submitted_answers)} answers stored; {HOW_TO_SUBMIT}",
        )
        return CommandResult(
            response=ack,
            after_commit=after_commit,
            response_if_engine_down=ack.model_copy(update={"message": SUBMITTED_ENGINE_DOWN}),
        )

    response = await command.execute(submit, on_replay=partial(ensure_run, command.services.runs))
    if not batch.completed or response.status_code != HTTPStatus.ACCEPTED or not preference.seconds:
        return response
    try:
        view = await read_when_ready(assessment_id, scope, command.services, preference)
    except StorageUnavailable:  # the submission is committed
        return preference.confirm(response)
    if view is not None and view.document is not None:
        replayed = response.headers.get(REPLAYED)
        response = result_response(view, view.document)
        response.headers.update({REPLAYED: replayed} if replayed else {})
    return preference.confirm(response)


@assessments.get(
    "/{assessment_id}",
    summary="Get assessment status",
    response_description="Status payload",
    responses=answers(400, 401, 403, 404),
)
async def read_status(assessment_id: Id, services: ServicesDep, scope: ScopeDep) -> AssessmentStatus:
    view = await _status(assessment_id, services, scope)
    return AssessmentStatus.read(
        view,
        progress=Progress(answered=view.answered, total=view.total),
        stage=IN_REVIEW if view.in_review else view.stage,
    )


async def _status(assessment_id: Id, services: ServicesDep, scope: ScopeDep) -> StatusView:
    return require(await services.queries.status(assessment_id, scope), "No such assessment")
