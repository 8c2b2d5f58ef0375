"""Change accounts, log in and record held credentials over HTTP, and read what is stored about accounts."""

from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import select

from persistence.tables import AuditLogRow, UserRow
from tests.api.conftest import Api, Person

PASSWORD = "correct horse battery staple"


async def patch(api: Api, admin: Person, user_id: object, **change: Any) -> httpx.Response:
    return await api.client.patch(f"/api/v1/users/{user_id}", json=change, headers=admin.headers)


async def log_in(api: Api, email: str, password: str = PASSWORD) -> httpx.Response:
    return await api.client.post("/api/v1/auth/token", data={"username": email, "password": password})


async def stored(api: Api, user_id: object) -> UserRow:
    async with api.sessions() as session:
        return (await session.scalars(select(UserRow).where(UserRow.id == UUID(str(user_id))))).one()


async def audited(api: Api, about: object) -> list[tuple[str, UUID | None, Any]]:
    row = AuditLogRow
    async with api.sessions() as session:
        found = select(row.action, row.actor_id, row.details).where(row.resource_id == UUID(str(about)))
        rows = await session.execute(found.order_by(row.seq))
    return [(each.action, each.actor_id, each.details) for each in rows]


async def hold(api: Api, who: Person, of: Person, credential_id: object, earned_at: object = "2026-01-31") -> int:
    body = {"credential_id": str(credential_id), "earned_at": earned_at}
    path = f"/api/v1/users/{of.id}/credentials"
    return (await api.client.post(path, json=body, headers=who.headers)).status_code
