"""Statistics about the quality of grades, questions and fairness, for advisors and admins."""

from typing import Annotated

from fastapi import Query

from api.dependencies import ScopeDep, ServicesDep
from api.middleware.routing import router
from api.schemas.errors import answers
from api.schemas.quality import (
    AgreementQuery,
    FairnessQuery,
    GradingAgreement,
    GroupComparison,
    ItemAnalysis,
    ItemQuery,
)
from api.services.quality import QualityService
from domain.quality.fairness import MIN_GROUP
from persistence.queries.quality import ReviewFilter

quality = router(prefix="/quality", tags=["Quality"])


@quality.get(
    "/agreement",
    summary="Compare the grader's levels with those of reviewers",
    responses=answers(400, 401, 403),
)
async def read_agreement(
    query: Annotated[AgreementQuery, Query()], services: ServicesDep, scope: ScopeDep
) -> GradingAgreement:
    """The grader's levels are those that the first reviewer of an answer saw; the reviewer's are the newest ones.

    Reviewers see the grader's levels, so the figures are higher than those of two independent graders would be.
    """
    found = ReviewFilter(**query.model_dump())
    return GradingAgreement.of(await QualityService(services.quality, scope.organization_id).agreement(found))


@quality.get("/items", summary="Analyse the questions", responses=answers(400, 401, 403))
async def read_item_analysis(
    query: Annotated[ItemQuery, Query()], services: ServicesDep, scope: ScopeDep
) -> ItemAnalysis:
    """Only the first completed assessment of each student at a role counts. Versions of a question are separate."""
    return ItemAnalysis.of(await QualityService(services.quality, scope.organization_id).items(query.role_id))


@quality.get("/fairness", summary="Compare groups of students", responses=answers(400, 401, 403))
async def read_fairness(
    query: Annotated[FairnessQuery, Query()], services: ServicesDep, scope: ScopeDep
) -> GroupComparison:
    """The groups are those that an admin stored with the students' consent. Groups under 20 students get no figures.

    Only the first completed assessment of each student counts, and only the most frequent set of question versions.
    """
    report = await QualityService(services.quality, scope.organization_id).fairness(query.role_id)
    return GroupComparison.of(report, MIN_GROUP)
