"""Import a roster: check the file, show a report for each row, then import it."""

import asyncio
from typing import Final

from fastapi import Request, Response

from api.dependencies import PrincipalDep, Services, ServicesDep
from api.pages.form_errors import REFUSALS, FieldErrors, table_errors
from api.pages.forms import FormDep
from api.pages.rendering import render, see_other
from api.pages.routes.admin.people import organization_of
from api.pages.routing import page_router
from api.pages.texts import gettext
from api.pages.uploads import UploadDep
from api.schemas.csv_body import Table
from api.schemas.roster import MAX_ROWS, RosterReport, read_roster
from api.security.authorization import actor_of
from api.security.tokens import Principal
from api.services.roster import RosterService
from domain.roster import RosterRow, RowStatus

SHOWN_ROWS: Final = 500
"""Rows in the report on the page; refused ones come first."""

roster = page_router(prefix="/admin/people/import")


@roster.get("")
async def roster_page(request: Request) -> Response:
    return _form(request)


@roster.post("")
async def roster_form(
    request: Request, form: FormDep, upload: UploadDep, services: ServicesDep, principal: PrincipalDep
) -> Response:
    """Check an uploaded file, or import the file that was checked and that the form repeats in `roster`."""
    is_import = "roster" in form
    body = form["roster"].encode() if is_import else upload
    if not body:
        return _form(request, [("file", gettext("Choose a CSV file."))])
    try:
        rows, table = await asyncio.to_thread(read_roster, body)
        if not is_import:
            return await _report(request, body, rows, table, services, principal)
        async with services.database.transaction() as uow:
            service = RosterService(uow)
            await service.import_people(organization_of(principal), actor_of(principal), rows)
            await uow.commit()
    except REFUSALS as error:
        return _form(request, table_errors(error))
    return see_other("/admin/people", done="roster_imported")


async def _report(  # noqa: PLR0913, PLR0917  # the parts of a request
    request: Request, body: bytes, rows: list[RosterRow], table: Table, services: Services, principal: Principal
) -> Response:
    async with services.database.transaction() as uow:
        plan = await RosterService(uow).preview(organization_of(principal), rows)
    report = RosterReport.of(plan, table, dry_run=True)
    by_number = {row.number: row for row in rows}
    ordered = sorted(report.rows, key=lambda each: (each.status is not RowStatus.REFUSED, each.row))
    return render(
        request,
        "admin/roster_report.html",
        title=gettext("Check the roster"),
        report=report,
        rows=[(each, by_number[each.row]) for each in ordered[:SHOWN_ROWS]],
        hidden=max(0, len(ordered) - SHOWN_ROWS),
        roster=body.decode(table.detected.codec),
    )


def _form(request: Request, errors: FieldErrors | None = None) -> Response:
    return render(
        request,
        "admin/roster.html",
        400 if errors else 200,
        title=gettext("Import a roster"),
        errors=errors or [],
        max_rows=MAX_ROWS,
    )
