"""The admin's home page: what needs attention; and the cost of language models."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from fastapi import Request, Response

from api.dependencies import PrincipalDep, ScopeDep, ServicesDep
from api.pages.rendering import render, see_other
from api.pages.routes.admin.people import organization_of
from api.pages.routing import page_router
from api.pages.texts import gettext
from api.schemas.base import Id
from api.security.authorization import actor_of
from api.services.after_commit import calls_after_rerun
from api.services.reruns import RerunService
from api.workflow_engine import notify_all

FAILED_SHOWN: Final = 5
DAYS: Final = 14
"""Days of spending on the page of costs."""
NEARLY_SPENT: Final = Decimal("0.8")
"""The share of the day's budget from which the home page warns."""

home = page_router(prefix="/admin")


@home.get("/attention")
async def admin_home_page(request: Request, services: ServicesDep, principal: PrincipalDep) -> Response:
    queries = services.pages.admin
    attention = await queries.attention(organization_of(principal))
    failed = await queries.failed_runs(organization_of(principal), FAILED_SHOWN) if attention.failed else []
    return render(
        request,
        "admin/home.html",
        title=gettext("What needs attention"),
        attention=attention,
        failed=failed,
        budget=_share(attention.cents_today, services.settings.essay_budget_cents_per_day),
        nearly_spent=NEARLY_SPENT,
    )


@home.post("/assessments/{assessment_id}/rerun")
async def rerun_failed_form(
    assessment_id: Id, services: ServicesDep, principal: PrincipalDep, scope: ScopeDep
) -> Response:
    """Run a failed assessment again."""
    async with services.database.transaction() as uow:
        done = await RerunService(uow, scope, actor_of(principal)).rerun([assessment_id])
        await uow.commit()
    await notify_all(calls_after_rerun(done.rerun, services))
    return see_other("/admin/attention", done="rerun" if done.rerun else "not_rerun")


@home.get("/cost")
async def cost_page(request: Request, services: ServicesDep, principal: PrincipalDep) -> Response:
    organization_id, queries = organization_of(principal), services.pages.admin
    spent = {each.day: each.cents for each in await queries.spending(organization_id, DAYS)}
    today = datetime.now(UTC).date()
    days = [(day, spent.get(day, Decimal(0))) for day in (today - timedelta(days=ago) for ago in range(DAYS))]
    budget = services.settings.essay_budget_cents_per_day
    return render(
        request,
        "admin/cost.html",
        title=gettext("Cost"),
        days=days,
        highest=max(cents for _, cents in days),
        models=await queries.spending_by_model(organization_id),
        budget=budget,
        share=_share(days[0][1], budget),
    )


def _share(cents: Decimal, budget: Decimal | None) -> Decimal | None:
    """Return the spent share of the budget; None without a budget."""
    return None if budget is None else cents / budget
