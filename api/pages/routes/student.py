"""The student's home page and the start of an assessment."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

from fastapi import Request, Response

from api.dependencies import PeopleScopeDep, PrincipalDep, ScopeDep, Services, ServicesDep
from api.pages.rendering import render, see_other
from api.pages.routing import page_router
from api.pages.texts import gettext
from api.schemas.base import Id
from api.schemas.catalog import OwnAttempts
from api.security.authorization import actor_of
from api.services.assessments import AssessmentService
from api.workflow_engine import ensure_run, notify_engine
from domain.assessments.lifecycle import AssessmentStatus
from domain.assessments.questions import QuestionKind
from domain.errors import InvalidAssessmentState, InvalidInput, NoAttemptsLeft, NotFound, RetakeNotYet
from persistence.queries.people_views import PeopleScope
from persistence.queries.student_pages import AskedView
from persistence.queries.views import AccessScope, AssessmentFilter, AssessmentView, RoleView, StatusView
from persistence.repositories.student_assessments import NewAssessment

MAX_LISTED: Final = 100
_MINUTES: Final = {
    QuestionKind.SINGLE: 1.0,
    QuestionKind.MULTIPLE: 1.5,
    QuestionKind.NUMBER: 2.0,
    QuestionKind.SCALE: 0.5,
    QuestionKind.TEXT: 8.0,
}
"""Minutes that a question of each kind usually takes, for the estimate before the start."""

student = page_router()


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCard:
    """A role that a student may start. `missing` are the names of roles to complete first."""

    role: RoleView
    questions: int
    essays: int
    minutes: int
    missing: tuple[str, ...]
    open_id: UUID | None
    attempts: OwnAttempts

    @property
    def can_start(self) -> bool:
        return not self.missing and self.attempts.left != 0 and self.attempts.next_start_at is None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAssessment:
    view: StatusView
    role: str
    left: timedelta


@student.get("/learn")
async def student_home_page(request: Request, services: ServicesDep, scope: ScopeDep) -> Response:
    roles = await services.queries.roles(scope.user_id)
    names = {role.id: role.name for role in roles}
    views = await services.queries.assessments(scope, AssessmentFilter(), MAX_LISTED)
    return render(
        request,
        "student/home.html",
        title=gettext("My assessments"),
        open=await _open(services, scope, views, names),
        finished=[(view, names.get(view.role_id, "")) for view in views if not _is_open(view)],
        cards=_cards(roles, await services.pages.student.asked(), views),
        hours=services.settings.assessment_hours,
    )


@student.get("/learn/roles/{role_id}")
async def student_role_page(
    request: Request, role_id: Id, services: ServicesDep, scope: ScopeDep, people: PeopleScopeDep
) -> Response:
    """Tell what the assessment of a role asks before it starts."""
    views = await services.queries.assessments(scope, AssessmentFilter(), MAX_LISTED)
    asked = await services.pages.student.asked()
    card = next(
        (each for each in _cards(await services.queries.roles(scope.user_id), asked, views) if each.role.id == role_id),
        None,
    )
    if card is None:
        raise NotFound("No such role")
    kinds = {each.kind: each.questions for each in asked if each.role_id == role_id}
    return render(
        request,
        "student/role.html",
        title=card.role.name,
        card=card,
        kinds=kinds,
        allowed=await _time_allowed(services, scope, people),
    )


async def _time_allowed(services: Services, scope: AccessScope, people: PeopleScope) -> timedelta:
    """Return how long the student has for an assessment that starts now."""
    usual = timedelta(hours=services.settings.assessment_hours)
    own = await services.people.queries.user(scope.user_id, people) if scope.user_id else None
    return own.accommodation.extend(usual) if own else usual


@student.post("/learn/roles/{role_id}")
async def start_form(role_id: Id, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep) -> Response:
    """Start an assessment, or continue the open one of this role. The role's page says why a start is refused."""
    new = NewAssessment(
        organization_id=scope.organization_id,
        role_id=role_id,
        metadata={},
        duration=timedelta(hours=services.settings.assessment_hours),
    )
    try:
        async with services.database.transaction() as uow:
            started = await AssessmentService(uow).start(new, actor_of(principal))
            await uow.commit()
    except InvalidAssessmentState as error:
        if error.details is None:
            raise
        return see_other(f"/learn/assessments/{error.details['assessment_id']}")
    except (InvalidInput, NoAttemptsLeft, RetakeNotYet):
        return see_other(f"/learn/roles/{role_id}")
    if started.closed:
        await notify_engine(partial(ensure_run, services.runs), started.closed)
    return see_other(f"/learn/assessments/{started.assessment.id}/questions/1")


async def _open(
    services: Services, scope: AccessScope, views: Sequence[AssessmentView], names: Mapping[UUID, str]
) -> list[OpenAssessment]:
    found = []
    for each in filter(_is_open, views):
        view = await services.queries.status(each.assessment_id, scope)
        if view is not None and _is_open(view):
            left = view.expires_at - datetime.now(UTC)
            found.append(OpenAssessment(view=view, role=names.get(view.role_id, ""), left=left))
    return found


def _is_open(view: AssessmentView) -> bool:
    return view.status == AssessmentStatus.IN_PROGRESS and view.expires_at > datetime.now(UTC)


def _cards(roles: Sequence[RoleView], asked: Sequence[AskedView], views: Sequence[AssessmentView]) -> list[RoleCard]:
    names = {role.id: role.name for role in roles}
    kinds: dict[UUID, dict[str, int]] = defaultdict(dict)
    for each in asked:
        kinds[each.role_id][each.kind] = each.questions
    completed = {view.role_id for view in views if view.status == AssessmentStatus.COMPLETED}
    open_ids = {view.role_id: view.assessment_id for view in filter(_is_open, views)}
    return [
        RoleCard(
            role=role,
            questions=sum(kinds[role.id].values()),
            essays=kinds[role.id].get(QuestionKind.TEXT, 0),
            minutes=_rounded(sum(_MINUTES[QuestionKind(kind)] * count for kind, count in kinds[role.id].items())),
            missing=tuple(names.get(each, "") for each in role.prerequisites if each not in completed),
            open_id=open_ids.get(role.id),
            attempts=OwnAttempts.of(role),
        )
        for role in roles
        if kinds[role.id]
    ]


def _rounded(minutes: float) -> int:
    """Round to 5 minutes, because it is an estimate."""
    return max(5, 5 * round(minutes / 5))
