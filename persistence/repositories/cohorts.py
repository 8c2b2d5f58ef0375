"""Changes of cohorts and their members by admins, each with its audit rows."""

from collections.abc import Collection, Sequence
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import delete, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError

from domain.errors import Conflict, InvalidInput, NotFound, Problem
from persistence.queries.cohorts import cohorts_of
from persistence.queries.people_views import CohortView
from persistence.queries.views import Actor
from persistence.repositories import audit
from persistence.repositories.assessments import ERASED
from persistence.repositories.base import Repository
from persistence.tables import CohortMemberRow, CohortRow, UserRow
from persistence.tables.base import table_of

_TAKEN: Final = "Another cohort of the organization has this name"

_cohorts: Final = table_of(CohortRow)
_members: Final = table_of(CohortMemberRow)
_users: Final = table_of(UserRow).c


class Cohorts(Repository):
    """Write cohorts in the caller's transaction.

    Raises:
        NotFound: the organization has no such cohort.
    """

    async def create(self, organization_id: UUID, admin: Actor, name: str) -> CohortView:
        """Raise Conflict if another cohort of the organization has the name."""
        made = upsert(_cohorts).values(id=uuid4(), organization_id=organization_id, name=name)
        cohort_id = await self._session.scalar(made.on_conflict_do_nothing().returning(_cohorts.c.id))
        if cohort_id is None:
            raise Conflict(_TAKEN)
        await audit.record(self._session, admin, "cohort.created", "cohort", cohort_id, organization_id)
        return await self._view(cohort_id, organization_id)

    async def rename(self, cohort_id: UUID, organization_id: UUID, admin: Actor, name: str) -> CohortView:
        """Raise NotFound as above, or Conflict if another cohort of the organization has the name."""
        if await self._lock(cohort_id, organization_id) != name:
            changed = update(_cohorts).where(_cohorts.c.id == cohort_id)
            try:
                async with self._session.begin_nested():
                    await self._session.execute(changed.values(name=name, updated_at=func.clock_timestamp()))
            except IntegrityError:  # only the name is unique
                raise Conflict(_TAKEN) from None
            await audit.record(self._session, admin, "cohort.renamed", "cohort", cohort_id, organization_id)
        return await self._view(cohort_id, organization_id)

    async def delete(self, cohort_id: UUID, organization_id: UUID, admin: Actor) -> None:
        """Delete the cohort with its memberships. The students stay."""
        await self._lock(cohort_id, organization_id)
        await self._session.execute(delete(_cohorts).where(_cohorts.c.id == cohort_id))
        await audit.record(self._session, admin, "cohort.deleted", "cohort", cohort_id, organization_id)

    async def add_members(
        self, cohort_id: UUID, organization_id: UUID, admin: Actor, user_ids: Sequence[UUID]
    ) -> CohortView:
        """Add all students or none. Those who are members already stay members.

        Raises:
            NotFound: as above.
            InvalidInput: some ids do not name students of the organization; all of them are listed.
        """
        await self._lock(cohort_id, organization_id)
        students = await self._lock_students(organization_id, user_ids)
        problems = tuple(
            Problem(f"user_ids.{place}", "does not name a student of the organization")
            for place, user_id in enumerate(user_ids)
            if user_id not in students
        )
        if problems:
            raise InvalidInput("The request is not valid", problems)
        ids = func.unnest(list(students)).table_valued("id").render_derived()
        made = upsert(_members).from_select(["cohort_id", "user_id"], select(literal(cohort_id), ids.c.id))
        added = await self._session.scalars(made.on_conflict_do_nothing().returning(_members.c.user_id))
        entries = [("user.cohort_added", "user", user_id, {"cohort_id": cohort_id}) for user_id in added.all()]
        await audit.record_many(self._session, admin, organization_id, entries)
        return await self._view(cohort_id, organization_id)

    async def remove_member(self, cohort_id: UUID, organization_id: UUID, admin: Actor, user_id: UUID) -> None:
        """Raise NotFound as above, or if the user is not a member."""
        await self._lock(cohort_id, organization_id)
        removed = delete(_members).where(_members.c.cohort_id == cohort_id, _members.c.user_id == user_id)
        if await self._session.scalar(removed.returning(_members.c.user_id)) is None:
            raise NotFound("No such member of this cohort")
        about = ("user.cohort_removed", "user", user_id, organization_id)
        await audit.record(self._session, admin, *about, cohort_id=cohort_id)

    async def _view(self, cohort_id: UUID, organization_id: UUID) -> CohortView:
        wanted = cohorts_of(organization_id).where(_cohorts.c.id == cohort_id)
        return CohortView(**(await self._session.execute(wanted)).mappings().one())

    async def _lock(self, cohort_id: UUID, organization_id: UUID) -> str:
        """Lock the cohort until the transaction ends and return its name."""
        wanted = select(_cohorts.c.name).where(
            _cohorts.c.id == cohort_id, _cohorts.c.organization_id == organization_id
        )
        name: str | None = await self._session.scalar(wanted.with_for_update())
        if name is None:
            raise NotFound("No such cohort")
        return name

    async def _lock_students(self, organization_id: UUID, user_ids: Collection[UUID]) -> frozenset[UUID]:
        """Return those ids that are students of the organization and are not being erased.

        Their rows are locked in share mode: an erasure is either seen here, or deletes the memberships afterwards.
        """
        wanted = select(_users.id).where(
            _users.id.in_(user_ids),
            _users.organization_id == organization_id,
            _users.role == "student",
            _users.status.not_in(ERASED),
        )
        return frozenset(await self._session.scalars(wanted.order_by(_users.id).with_for_update(read=True)))
