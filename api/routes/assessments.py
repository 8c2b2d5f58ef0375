"""Starting, answering and following an assessment."""

from datetime import timedelta
from functools import partial
from typing import Annotated, Final

from fastapi import Query, Response
from pydantic import BeforeValidator, Field

from api.dependencies import Caller, ScopeDep, ServicesDep
from api.idempotency import CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.schemas import cursors
from api.schemas.assessments import (
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
from api.schemas.base import Id, Moment, QueryInput, boolean, digits
from api.schemas.errors import answers
from api.security.authorization import actor_of
from api.services.assessments import AssessmentService
from api.services.submitted_answers import SubmittedAnswer
from api.workflow_engine import ensure_run, live_stage, told
from domain.assessments.lifecycle import AssessmentStatus as State
from domain.errors import InvalidAssessmentState, NotFound
from persistence.queries.views import AssessmentFilter, StatusView
from persistence.repositories.student_assessments import NewAssessment
from persistence.request_database import RequestUnitOfWork

HANDED_IN: Final = "Handed in; the result is being made"
HAND_IN: Final = "send completed: true to hand the assessment in"
UNHEARD: Final = "Handed in and stored; the engine could not be told yet and takes it up within a minute of its return"

assessments = router(prefix="/assessments", tags=["Assessments"])


@assessments.post(
    "/start",
    status_code=201,
    response_model=AssessmentStartResponse,
    summary="Start a new assessment",
    response_description="Assessment created",
    responses=answers(400, 401, 403, 409, 413, 415, 422),
)
async def start_assessment(
    wanted: AssessmentStartRequest, services: ServicesDep, caller: Caller, seen: ScopeDep, once: IdempotencyDep
) -> Response:
    """One assessment a role is open at a time: starting another answers 409 with `details.assessment_id` to resume."""
    run = partial(ensure_run, services.runs)
    new = NewAssessment(
        organization_id=seen.organization_id,
        role_id=wanted.role_id,
        metadata=wanted.metadata,
        duration=timedelta(hours=services.settings.assessment_hours),
    )

    async def start(uow: RequestUnitOfWork) -> CommandResult:
        started = await AssessmentService(uow).start(new, actor_of(caller))
        opened = AssessmentStartResponse(
            assessment_id=started.assessment.id,
            status="in_progress",
            expires_at=started.assessment.expires_at,
            questions=[QuestionSnapshot.of(item) for item in started.items],
        )
        both = (started.closed, started.assessment)
        return CommandResult(answer=opened, tell=[partial(told, run, each) for each in both if each])

    return await once.do(services.database, start, again=run)


class AssessmentQuery(QueryInput):
    status: Status | None = None
    role_id: Id | None = None
    user_id: Id | None = None
    degraded: Annotated[bool | None, BeforeValidator(boolean)] = None
    needs_review: Annotated[bool | None, BeforeValidator(boolean)] = None
    since: Moment | None = Field(default=None, description="Started at this time or later")
    cursor: str | None = Field(default=None, description="`next_cursor` of the page before")
    limit: Annotated[int, BeforeValidator(digits)] = Field(default=25, ge=1, le=100)


@assessments.get("", summary="List assessments", responses=answers(400, 401, 403), response_model_exclude_none=True)
async def list_assessments(
    query: Annotated[AssessmentQuery, Query()], services: ServicesDep, seen: ScopeDep
) -> AssessmentList:
    """A student's own; the organization's for advisors and admins. Newest first."""
    found = AssessmentFilter(
        **query.model_dump(exclude={"cursor", "limit"}), after=cursors.decode(query.cursor) if query.cursor else None
    )
    views = await services.queries.assessments(seen, found, query.limit + 1)
    page, next_cursor = cursors.page(views, query.limit, lambda last: last.assessment_id)
    return AssessmentList(items=[AssessmentSummary.model_validate(view) for view in page], next_cursor=next_cursor)


@assessments.get(
    "/{assessment_id}/questions",
    summary="Resume: the questions and the answers stored so far",
    responses=answers(400, 401, 403, 404),
    response_model_exclude_none=True,
)
async def read_questions(assessment_id: Id, services: ServicesDep, seen: ScopeDep) -> AssessmentQuestions:
    view = await _status(assessment_id, services, seen)
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
    responses=answers(400, 401, 403, 404, 409, 413, 415, 422),
)
async def submit_responses(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    assessment_id: Id,
    batch: AssessmentResponseBatch,
    services: ServicesDep,
    caller: Caller,
    seen: ScopeDep,
    once: IdempotencyDep,
) -> Response:
    """Stores all answers or none. An answer replaces the one before it until `completed` hands the assessment in."""
    given = [
        SubmittedAnswer(question_id=item.question_id, raw=item.answer, claimed_at=item.submitted_at)
        for item in batch.responses
    ]

    async def answer(uow: RequestUnitOfWork) -> CommandResult:
        service = AssessmentService(uow)
        receipt = await service.submit(assessment_id, seen, actor_of(caller), given, completed=batch.completed)
        submitted = receipt.assessment.status is State.AWAITING_ASYNC
        tell = [partial(told, services.runs.submit, receipt.assessment)] if submitted else []
        if receipt.expired:
            return CommandResult(
                answer=InvalidAssessmentState("Assessment has expired, answers are no longer accepted"), tell=tell
            )
        ack = AssessmentSubmissionAck(
            assessment_id=assessment_id,
            status="awaiting_async" if submitted else "in_progress",
            async_job_enqueued=submitted,
            message=HANDED_IN if submitted else f"{len(given)} answers stored; {HAND_IN}",
        )
        return CommandResult(answer=ack, tell=tell, response_if_engine_down=ack.model_copy(update={"message": UNHEARD}))

    return await once.do(services.database, answer, again=partial(ensure_run, services.runs))


@assessments.get(
    "/{assessment_id}",
    summary="Get assessment status",
    response_description="Status payload",
    responses=answers(400, 401, 403, 404),
    response_model_exclude_none=True,
)
async def read_status(assessment_id: Id, services: ServicesDep, seen: ScopeDep) -> AssessmentStatus:
    view = await _status(assessment_id, services, seen)
    waiting = view.status == State.AWAITING_ASYNC
    return AssessmentStatus(
        assessment_id=view.assessment_id,
        role_id=view.role_id,
        status=view.status,
        progress=Progress(answered=view.answered, total=view.total),
        degraded=view.degraded,
        last_updated_at=view.last_updated_at,
        expires_at=view.expires_at,
        completed_at=view.completed_at,
        revision=view.revision,
        healing=view.healing,
        failure_reason=view.failure_reason,
        stage=await live_stage(services.runs, assessment_id) if waiting else None,
    )


async def _status(assessment_id: Id, services: ServicesDep, seen: ScopeDep) -> StatusView:
    view = await services.queries.status(assessment_id, seen)
    if view is None:
        raise NotFound("No such assessment")
    return view
