"""Take an assessment: one question a page, an overview, the hand-in, and the progress of the grading."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any, TypeAlias
from uuid import UUID

from fastapi import Header, Path, Request, Response
from starlette.responses import JSONResponse

from api.dependencies import PrincipalDep, ScopeDep, Services, ServicesDep
from api.event_stream import ProgressStreamDep
from api.pages.answer_fields import ANSWER, chosen_options, field_value, raw_answer, shown_answer
from api.pages.forms import Form, FormDep
from api.pages.problem_texts import translated
from api.pages.rendering import render, see_other
from api.pages.routing import page_router
from api.pages.stages import stages_of
from api.pages.texts import gettext
from api.schemas.base import Id
from api.security.authorization import actor_of
from api.services.answers import AnswerService, SavedAnswer
from api.services.assessments import AssessmentService
from api.services.use_cases import require
from api.workflow_engine import notify_engine
from domain.assessments.answers import answer_json, answer_version
from domain.assessments.lifecycle import AssessmentStatus
from domain.assessments.progress import RunProgress
from domain.assessments.questions import Item
from domain.errors import AnswerChanged, InvalidAssessmentState, InvalidInput, NotFound
from persistence.queries.views import AccessScope, StatusView

Place: TypeAlias = Annotated[int, Path(ge=1, le=1000)]

taking = page_router(prefix="/learn/assessments/{assessment_id}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """An assessment while it is taken. `flagged` has snapshot ids."""

    view: StatusView
    role: str
    items: tuple[Item, ...]
    flagged: frozenset[UUID]
    now: datetime

    @property
    def is_open(self) -> bool:
        return self.view.status == AssessmentStatus.IN_PROGRESS and self.view.expires_at > self.now

    @property
    def answered(self) -> int:
        return sum(item.answer is not None for item in self.items)

    def at(self, number: int) -> Item:
        if number > len(self.items):
            raise NotFound("No such question")
        return self.items[number - 1]


@taking.get("")
async def assessment_page(request: Request, assessment_id: Id, services: ServicesDep, scope: ScopeDep) -> Response:
    """The overview of all questions; after the hand-in, the progress or the result."""
    taken = await _taken(assessment_id, services, scope)
    if not taken.is_open:
        return see_other(_after(taken.view))
    return render(request, "student/overview.html", title=taken.role, taken=taken)


@taking.get("/questions/{number}")
async def question_page(
    request: Request, assessment_id: Id, number: Place, services: ServicesDep, scope: ScopeDep
) -> Response:
    taken = await _taken(assessment_id, services, scope)
    if not taken.is_open:
        return see_other(_after(taken.view))
    return _question(request, taken, number)


@taking.post("/questions/{number}")
async def answer_form(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    request: Request, assessment_id: Id, number: Place, form: FormDep, services: ServicesDep, scope: ScopeDep
) -> Response:
    """Save the answer and go where the pressed button leads."""
    taken = await _taken(assessment_id, services, scope)
    if not taken.is_open:
        return see_other(_after(taken.view))
    item = taken.at(number)
    try:
        saved = await _save(taken, item, form, services, scope, expected=form.get("version"))
    except InvalidInput as error:
        errors = [
            ("answer", gettext("Your answer %(problem)s.") % {"problem": translated(each.problem)})
            for each in error.problems
        ]
        return _question(request, taken, number, 400, errors=errors, entered=form)
    except AnswerChanged as error:
        return _question(request, taken, number, 412, conflict=error.details, entered=form)
    if saved.expired:
        return see_other(f"/learn/assessments/{assessment_id}/progress", done="time_over")
    if form.get("action") == "flag":
        await _flag(taken, item, services, scope)
    return see_other(_next(taken, number, form.get("action", "")))


@taking.post("/questions/{number}/autosave")
async def autosave(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    assessment_id: Id,
    number: Place,
    form: FormDep,
    services: ServicesDep,
    scope: ScopeDep,
    if_match: Annotated[str | None, Header()] = None,
) -> Response:
    """Save the answer for a script. `If-Match` is the version that the page has read; 412 has the newer answer."""
    taken = await _taken(assessment_id, services, scope)
    item = taken.at(number)
    try:
        expected = (if_match or "").strip('"') or None
        saved = await _save(taken, item, form, services, scope, expected=expected)
    except AnswerChanged as error:
        details = error.details or {}
        return JSONResponse(
            {"error_code": error.code, "version": details["version"], "answer": shown_answer(details["answer"])}, 412
        )
    if saved.expired:
        raise InvalidAssessmentState(gettext("The time is over."))
    body = {
        "version": saved.version,
        "saved_at": saved.saved_at.isoformat(),
        "answered": saved.answer is not None,
        "shown": field_value(saved.answer),
    }
    return JSONResponse(body, headers={"ETag": f'"{saved.version}"'})


@taking.get("/hand-in")
async def hand_in_page(request: Request, assessment_id: Id, services: ServicesDep, scope: ScopeDep) -> Response:
    """List the unanswered and flagged questions before the hand-in."""
    taken = await _taken(assessment_id, services, scope)
    if not taken.is_open:
        return see_other(_after(taken.view))
    return render(request, "student/hand_in.html", title=gettext("Hand in"), taken=taken, errors=[])


@taking.post("/hand-in")
async def hand_in_form(
    request: Request, assessment_id: Id, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Response:
    taken = await _taken(assessment_id, services, scope)
    if not taken.is_open:
        return see_other(_after(taken.view))
    if not taken.answered:
        errors = [("unanswered", gettext("Answer at least one question before you hand in."))]
        return render(request, "student/hand_in.html", 400, title=gettext("Hand in"), taken=taken, errors=errors)
    async with services.database.transaction() as uow:
        receipt = await AssessmentService(uow).submit(assessment_id, scope, actor_of(principal), (), completed=True)
        await uow.commit()
    if receipt.assessment.status is AssessmentStatus.AWAITING_ASYNC:
        await notify_engine(services.runs.submit, receipt.assessment)
    done = "time_over" if receipt.expired else "handed_in"
    return see_other(f"/learn/assessments/{assessment_id}/progress", done=done)


@taking.get("/progress")
async def progress_page(request: Request, assessment_id: Id, services: ServicesDep, scope: ScopeDep) -> Response:
    """The stages of the grading. The page follows them by events or by polling, and then opens the result."""
    taken = await _taken(assessment_id, services, scope)
    if taken.is_open:
        return see_other(f"/learn/assessments/{assessment_id}")
    progress = require(await services.pages.student.progress(assessment_id, scope), "No such assessment")
    template = "student/_stages.html" if "hx-request" in request.headers else "student/progress.html"
    response = render(
        request,
        template,
        title=_progress_title(progress),
        taken=taken,
        progress=progress,
        stages=stages_of(progress),
    )
    if progress.released and "hx-request" in request.headers:
        response.headers["HX-Redirect"] = f"/assessments/{assessment_id}/result"
    return response


def _progress_title(progress: RunProgress) -> str:
    if progress.failed:
        return gettext("Your answers could not be graded")
    if progress.published and not progress.released:
        return gettext("A reviewer is checking your result")
    if progress.released:
        return gettext("Your result is ready")
    return gettext("Your answers are being graded")


@taking.get("/events")
async def progress_events(stream: ProgressStreamDep) -> Response:
    """The events of the REST route, for the session of a browser."""
    return stream


async def _taken(assessment_id: UUID, services: Services, scope: AccessScope) -> Taken:
    """Read an assessment with its questions. Only its owner may, as `read_questions` decides."""
    view = require(await services.queries.status(assessment_id, scope), "No such assessment")
    role = await services.queries.role(view.role_id)
    async with services.database.transaction() as uow:
        items = await uow.assessments.items(assessment_id)
    return Taken(
        view=view,
        role=role.name if role else gettext("Assessment"),
        items=items,
        flagged=await services.pages.student.flagged(assessment_id),
        now=datetime.now(UTC),
    )


def _question(  # noqa: PLR0913  # the states of the page
    request: Request,
    taken: Taken,
    number: int,
    status: int = 200,
    *,
    errors: list[tuple[str, str]] | None = None,
    conflict: Any = None,  # noqa: ANN401  # the details of AnswerChanged
    entered: Form | None = None,
) -> Response:
    """Render a question with its stored answer, or with what was `entered` in a form that was refused."""
    item = taken.at(number)
    stored = item.answer if isinstance(item.answer, tuple) else ()
    return render(
        request,
        "student/question.html",
        status,
        title=gettext("Question %(number)d of %(total)d") % {"number": number, "total": len(taken.items)},
        taken=taken,
        item=item,
        number=number,
        value=field_value(item.answer) if entered is None else entered.get(ANSWER, ""),
        chosen=stored if entered is None else chosen_options(item.question.answer_format, entered),
        version=answer_version(item.answer),
        stored=shown_answer(None if item.answer is None else answer_json(item.answer)),
        errors=errors or [],
        conflict=conflict,
    )


async def _save(  # noqa: PLR0913  # the parts of a request
    taken: Taken, item: Item, form: Form, services: Services, scope: AccessScope, *, expected: str | None
) -> SavedAnswer:
    """Store the answer, and hand in an assessment whose time is over.

    Raises:
        InvalidInput: the answer does not fit the question.
        AnswerChanged: another tab has stored another answer.
        InvalidAssessmentState: the assessment is not in progress.
    """
    raw = raw_answer(item.question.answer_format, form)
    async with services.database.transaction() as uow:
        saved = await AnswerService(uow).save(taken.view.assessment_id, item.question.id, scope, raw, expected=expected)
        await uow.commit()
    if saved.assessment.status is AssessmentStatus.AWAITING_ASYNC:
        await notify_engine(partial(services.runs.submit), saved.assessment)
    return saved


async def _flag(taken: Taken, item: Item, services: Services, scope: AccessScope) -> None:
    async with services.database.transaction() as uow:
        await AnswerService(uow).flag(
            taken.view.assessment_id,
            item.question.id,
            scope,
            flagged=item.snapshot_id not in taken.flagged,
        )
        await uow.commit()


def _next(taken: Taken, number: int, action: str) -> str:
    """Return the path of the page that a button of the question's form leads to."""
    base = f"/learn/assessments/{taken.view.assessment_id}"
    match action:
        case "flag":
            return f"{base}/questions/{number}"
        case "overview":
            return base
        case "previous" if number > 1:
            return f"{base}/questions/{number - 1}"
        case _ if number < len(taken.items):
            return f"{base}/questions/{number + 1}"
        case _:
            return f"{base}/hand-in"


def _after(view: StatusView) -> str:
    """Return the path of the page to open when no more answers are accepted."""
    if view.status == AssessmentStatus.COMPLETED:
        return f"/assessments/{view.assessment_id}/result"
    return f"/learn/assessments/{view.assessment_id}/progress"
