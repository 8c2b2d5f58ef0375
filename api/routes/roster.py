"""Import the people of an organization and their cohorts from a CSV."""

from typing import Annotated

from fastapi import Query, Response
from pydantic import BeforeValidator, Field

from api.dependencies import ScopeDep
from api.idempotency import CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.middleware.strict_json import StrictRequest
from api.schemas.base import QueryInput, boolean
from api.schemas.csv_body import CSV
from api.schemas.errors import answers
from api.schemas.roster import ROSTER_BODY, RosterReport, read_roster
from api.services.roster import RosterService
from persistence.request_database import RequestUnitOfWork

roster = router(prefix="/users/imports", tags=["People"])


class RosterQuery(QueryInput):
    dry_run: Annotated[bool, BeforeValidator(boolean)] = Field(
        default=False, description="Only report what the import would do, also for refused rows"
    )


@roster.post(
    "",
    summary="Import students and their cohorts",
    response_model=RosterReport,
    responses=answers(400, 401, 403, 409, 413, 415, 422),
    openapi_extra=ROSTER_BODY,
)
async def import_users(
    request: StrictRequest, query: Annotated[RosterQuery, Query()], scope: ScopeDep, command: IdempotencyDep
) -> Response | RosterReport:
    """Import all rows or none, with a report per row. See docs/identity.md.

    A known e-mail address updates the name, the external id and the cohorts of the organization's user; role and
    status stay. An unknown address creates a student without a password. A dry run ignores `Idempotency-Key`.
    """
    rows, table = await request.parsed({CSV: read_roster})
    organization_id = scope.organization_id
    if query.dry_run:
        async with command.services.database.transaction() as uow:
            plan = await RosterService(uow).preview(organization_id, rows)
        return RosterReport.of(plan, table, dry_run=True)

    async def add(uow: RequestUnitOfWork) -> CommandResult:
        plan = await RosterService(uow).import_people(organization_id, command.actor, rows)
        return CommandResult(response=RosterReport.of(plan, table, dry_run=False))

    return await command.execute(add)
