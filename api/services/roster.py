"""Import a roster: the people of an organization and their cohorts."""

import asyncio
from collections.abc import Sequence
from typing import Final
from uuid import UUID, uuid4

from api.services.use_cases import UseCases
from domain.errors import InvalidInput, Problem
from domain.imports import refusal_of_import
from domain.roster import RosterPlan, RosterRow, plan_import
from persistence.queries.views import Actor

REPORTED: Final = 50
"""Maximum number of problems that an error reports."""


class RosterService(UseCases):
    """Use cases of one transaction. The caller commits."""

    async def preview(self, organization_id: UUID, rows: Sequence[RosterRow]) -> RosterPlan:
        """Return what an import would do. Nothing is written."""
        directory = await self._uow.roster.directory(organization_id, rows)
        return await asyncio.to_thread(plan_import, rows, directory, uuid4)

    async def import_people(self, organization_id: UUID, admin: Actor, rows: Sequence[RosterRow]) -> RosterPlan:
        """Import all rows or none.

        Raises:
            InvalidInput: rows are refused; the first problems are listed with their rows.
            Conflict: another request changed the same people at the same time.
        """
        plan = await self.preview(organization_id, rows)
        problems = [
            Problem(field, problem, report.row) for report in plan.refused for field, problem in report.problems
        ]
        if problems:
            message = refusal_of_import(len(problems), len(plan.refused), len(rows), REPORTED)
            raise InvalidInput(message, tuple(problems[:REPORTED]))
        await self._uow.roster.write(organization_id, admin, plan)
        return plan
