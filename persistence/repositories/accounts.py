"""Create organizations and accounts for commands, for example for the demo."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.ids import derived_id
from persistence.queries.email_addresses import has_email
from persistence.tables import OrganizationRow, UserRow


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """An account to create. `role` is student, advisor or admin; `platform`: an admin without an organization."""

    email: str
    password_hash: str
    role: str
    platform: bool = False


async def ensure_accounts(engine: AsyncEngine, organization: str, name: str, accounts: Sequence[NewAccount]) -> UUID:
    """Create the organization with this key and its accounts where they are missing; return the organization's id.

    An existing account keeps its role and organization; its password is replaced.

    Raises:
        ValueError: an address is not printable ASCII.
    """
    organization_id = derived_id("organization", organization)
    async with engine.begin() as connection:
        await connection.execute(
            insert(OrganizationRow).values(id=organization_id, name=name).on_conflict_do_nothing(index_elements=["id"])
        )
        for account in accounts:
            await _ensure(connection, account, None if account.platform else organization_id)
    return organization_id


async def _ensure(connection: AsyncConnection, account: NewAccount, organization_id: UUID | None) -> None:
    """Create or update one account. An erased user is not created again: the row has their id and no address."""
    made = insert(UserRow).values(
        id=derived_id("user", account.email),
        email=account.email,
        password_hash=account.password_hash,
        role=account.role,
        organization_id=organization_id,
    )
    await connection.execute(made.on_conflict_do_nothing())
    await connection.execute(
        update(UserRow)
        .where(has_email(account.email), UserRow.status.in_(("active", "disabled")))
        .values(password_hash=account.password_hash)
    )
