"""The home of advisors and admins: what needs attention, skills of cohorts and students."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from fastapi import Request, Response

from api.dependencies import ScopeDep, ServicesDep
from api.pages.heat_map import cohort_map, student_map
from api.pages.lists import choices, filled, read_query
from api.pages.rendering import render
from api.pages.routing import page_router
from api.pages.staff_texts import REASONS, STATES
from api.pages.texts import gettext
from api.schemas.base import Id, QueryInput
from api.services.use_cases import require
from persistence.queries.advisor_pages import MAX_STUDENTS, SkillsResult
from persistence.queries.views import AssessmentFilter

MAX_LISTED: Final = 50
MAX_TREND: Final = 6

overview = page_router()


class CohortSkillsQuery(QueryInput):
    role_id: Id | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """A skill's scores in a student's newest results, oldest first; None where a result has no score of it.

    `points` are the coordinates of a line in a drawing of 100 x 24.
    """

    skill: str
    scores: tuple[float | None, ...]
    points: str


@overview.get("/overview")
async def overview_page(request: Request, services: ServicesDep, scope: ScopeDep) -> Response:
    attention = await services.pages.advisor.attention(scope.organization_id)
    skills = await services.pages.advisor.cohort_skills(scope.organization_id)
    return render(
        request,
        "advisor/overview.html",
        title=gettext("Overview"),
        attention=attention,
        waiting=[
            (reason, essays, datetime.fromisoformat(oldest))
            for reason in REASONS
            for essays, oldest in [attention.waiting.get(reason, (0, None))]
            if oldest
        ],
        map=cohort_map(skills, gettext("All students")),
        blind=await services.pages.advisor.is_blind(scope.organization_id),
        now=datetime.now(UTC),
    )


@overview.get("/cohorts/{cohort_id}/skills")
async def cohort_skills_page(request: Request, cohort_id: Id, services: ServicesDep, scope: ScopeDep) -> Response:
    """The skills of each student of a cohort, from all results or from those of one role."""
    cohort = require(await services.people.cohorts.cohort(cohort_id, scope.organization_id), "No such cohort")
    query = read_query(CohortSkillsQuery, request.query_params)
    found = await services.pages.advisor.student_skills(scope.organization_id, cohort_id, query.role_id)
    return render(
        request,
        "advisor/cohort.html",
        title=cohort.name,
        cohort=cohort,
        roles=(await choices(services, scope)).roles,
        filters=filled(request.query_params, ("role_id",)),
        map=student_map(found),
        is_cut=len(found) == MAX_STUDENTS,
        blind=await services.pages.advisor.is_blind(scope.organization_id),
    )


@overview.get("/students/{user_id}")
async def student_skills_page(request: Request, user_id: Id, services: ServicesDep, scope: ScopeDep) -> Response:
    """A student's skills over time, assessments and feedback."""
    student = require(await services.pages.advisor.student(user_id, scope.organization_id), "No such student")
    results = await services.pages.advisor.results_of(user_id, scope.organization_id)
    shown = results[:MAX_TREND][::-1]
    return render(
        request,
        "advisor/student.html",
        title=student.name or student.email,
        student=student,
        results=shown,
        trends=_trends(shown),
        listed=await services.queries.assessments_for_staff(scope, AssessmentFilter(user_id=user_id), MAX_LISTED),
        feedback=await services.pages.advisor.feedback_of(user_id, scope.organization_id),
        state_names=STATES,
        blind=await services.pages.advisor.is_blind(scope.organization_id),
    )


def _trends(results: Sequence[SkillsResult]) -> list[Trend]:
    scores = [{each["skill"]: each["score"] for each in result.skills} for result in results]
    names = sorted({skill for each in scores for skill, score in each.items() if score is not None})
    return [
        Trend(skill=name, scores=(line := tuple(each.get(name) for each in scores)), points=_line(line))
        for name in names
    ]


def _line(scores: Sequence[float | None]) -> str:
    step = 96 / max(len(scores) - 1, 1)
    return " ".join(
        f"{2 + place * step:.1f},{22 - score * 20:.1f}" for place, score in enumerate(scores) if score is not None
    )
