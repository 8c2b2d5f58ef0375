"""Read what is stored about a roster's people, and write its changes: a fixed number of statements."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID, uuid4

from pydantic_core import to_json
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict
from domain.roster import STUDENT, Directory, KnownPerson, RosterPlan, RosterRow
from persistence.queries.views import Actor
from persistence.repositories import audit
from persistence.repositories.bulk import insert_rows
from persistence.tables import CohortMemberRow, CohortRow, UserRow

_LOCK: Final = text("SELECT pg_advisory_xact_lock(hashtextextended('roster/' || :organization_id, 0))")

# `is_exact` is false for an address that only the database considers equal, as `has_email` explains. The organization's
# people are locked, so that an erasure is either seen here or waits.
_LOCK_PEOPLE: Final = text("""
SELECT id FROM users
WHERE organization_id = :organization_id AND email = ANY(CAST(:emails AS citext[])) ORDER BY id FOR NO KEY UPDATE
""")
_PEOPLE: Final = text("""
SELECT given.email, u.id, u.name, u.external_id, u.role, u.status = 'erasing' AS erasing,
  u.organization_id = :organization_id AND lower(CAST(u.email AS text) COLLATE "C") = given.email AS is_ours
FROM unnest(CAST(:emails AS text[])) AS given (email) JOIN users AS u ON u.email = CAST(given.email AS citext)
""")
_HOLDERS: Final = text("""
SELECT external_id, id FROM users WHERE organization_id = :organization_id AND external_id = ANY(:external_ids)
""")
_COHORTS: Final = text("""
SELECT c.id, c.name, m.user_id FROM cohorts AS c
LEFT JOIN cohort_members AS m ON m.cohort_id = c.id AND m.user_id = ANY(:user_ids)
WHERE c.organization_id = :organization_id AND c.name = ANY(:names)
""")
_UPDATE: Final = text("""
UPDATE users AS u
SET name = coalesce(given.name, u.name), external_id = coalesce(given.external_id, u.external_id),
  updated_at = clock_timestamp()
FROM json_populate_recordset(NULL::users, CAST(:rows AS json)) AS given WHERE u.id = given.id
""")
_CONFLICT: Final = "Another request created or changed an account of this roster at the same time; send it again"


class Roster:
    """Read and write in the caller's transaction. Imports of an organization run one after the other."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
        self._cohort_ids: dict[str, UUID] = {}

    async def directory(self, organization_id: UUID, rows: Sequence[RosterRow]) -> Directory:
        """Read what is stored about the rows, and lock the organization's people among them."""
        valid = [row for row in rows if not row.problems]
        named: dict[str, Any] = {
            "organization_id": organization_id,
            "emails": sorted({row.email for row in valid}),
            "external_ids": sorted({row.external_id for row in valid if row.external_id is not None}),
            "names": sorted({row.cohort for row in valid if row.cohort is not None}),
        }
        await self._session.execute(_LOCK, {"organization_id": str(organization_id)})
        await self._session.execute(_LOCK_PEOPLE, _only(named, "organization_id", "emails"))
        found = (await self._session.execute(_PEOPLE, _only(named, "organization_id", "emails"))).all()
        ours = [row for row in found if row.is_ours]
        holders = await self._session.execute(_HOLDERS, _only(named, "organization_id", "external_ids"))
        cohorts = await self._cohorts([row.id for row in ours], _only(named, "organization_id", "names"))
        return Directory(
            people={
                row.email: KnownPerson(
                    id=row.id,
                    name=row.name,
                    external_id=row.external_id,
                    role=row.role,
                    erasing=row.erasing,
                    cohorts=frozenset(cohorts.get(row.id, ())),
                )
                for row in ours
            },
            taken=frozenset(row.email for row in found if not row.is_ours),
            holders={row.external_id: row.id for row in holders},
            cohorts=frozenset(self._cohort_ids),
        )

    async def write(self, organization_id: UUID, admin: Actor, plan: RosterPlan) -> None:
        """Write the plan that was made with `directory` in this transaction, with an audit row per changed user.

        Raises:
            Conflict: another request took an address, an external id or the name of a cohort meanwhile.
        """
        created = [
            {"id": user_id, "organization_id": organization_id, "role": STUDENT, **_personal(row), "email": row.email}
            for user_id, row in plan.created.items()
        ]
        new_cohorts = {name: uuid4() for name in plan.new_cohorts}
        cohort_ids = self._cohort_ids | new_cohorts
        try:
            await insert_rows(
                self._session,
                {
                    UserRow: created,
                    CohortRow: [
                        {"id": cohort_id, "organization_id": organization_id, "name": name}
                        for name, cohort_id in new_cohorts.items()
                    ],
                    CohortMemberRow: [
                        {"cohort_id": cohort_ids[cohort], "user_id": user_id} for cohort, user_id in plan.members
                    ],
                },
            )
            if plan.updated:
                changed = [{"id": user_id, **_personal(row)} for user_id, row in plan.updated.items()]
                await self._session.execute(_UPDATE, {"rows": to_json(changed).decode()})
        except IntegrityError:
            raise Conflict(_CONFLICT) from None
        await self._record(organization_id, admin, plan, cohort_ids)

    async def _cohorts(self, user_ids: Sequence[UUID], named: dict[str, Any]) -> dict[UUID, set[str]]:
        """Read the ids of the named cohorts, and return the names of the cohorts of each user."""
        found = await self._session.execute(_COHORTS, {**named, "user_ids": list(user_ids)})
        cohorts = defaultdict[UUID, set[str]](set)
        for row in found:
            self._cohort_ids[row.name] = row.id
            if row.user_id is not None:
                cohorts[row.user_id].add(row.name)
        return cohorts

    async def _record(self, organization_id: UUID, admin: Actor, plan: RosterPlan, cohort_ids: dict[str, UUID]) -> None:
        entries: list[audit.Entry] = [("cohort.created", "cohort", cohort_ids[name], None) for name in plan.new_cohorts]
        entries += [("user.created", "user", user_id, {"role": STUDENT}) for user_id in plan.created]
        entries += [
            ("user.changed", "user", user_id, {"fields": _fields(row)}) for user_id, row in plan.updated.items()
        ]
        entries += [
            ("user.cohort_added", "user", user_id, {"cohort_id": cohort_ids[cohort]})
            for cohort, user_id in plan.members
        ]
        await audit.record_many(self._session, admin, organization_id, entries)


def _only(values: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: values[name] for name in names}


def _personal(row: RosterRow) -> dict[str, str | None]:
    return {"name": row.name, "external_id": row.external_id}


def _fields(row: RosterRow) -> list[str]:
    """Return the names of the fields that the row sets."""
    return [name for name, value in sorted(_personal(row).items()) if value is not None]
