"""Valid rows of an import; tests change them."""

from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.ids import derived_id
from persistence.content.catalog_import import SqlCatalogImports
from persistence.content.catalog_rows import read_rows
from persistence.queries.catalog_views import ImportView
from persistence.queries.views import Actor
from persistence.tables import CredentialRow
from tests.support.builders import a_user

SKILL = "SQL querying"
"""A skill that a role of the project's content targets."""


def an_entry(key: str, **changes: Any) -> dict[str, Any]:
    return {
        "key": key,
        "title": f"Title of {key}",
        "description": f"What {key} teaches.",
        "skills": [SKILL],
        "level": "foundation",
        "hours": Decimal("7.5"),
        "provider": "Example Open College",
        "source_uri": f"https://catalog.example.org/{key}",
        "prerequisites": [],
        **changes,
    }


def id_of(key: str) -> UUID:
    return derived_id("credential", key)


async def import_all(session: AsyncSession, *entries: object) -> ImportView:
    admin = Actor(id=await a_user(session, role="admin"), role="admin")
    return await SqlCatalogImports(session).add(read_rows(entries), admin)


async def stored(session: AsyncSession, key: str) -> Any:
    columns = CredentialRow.__table__.c
    return (await session.execute(select(*columns).where(columns.id == id_of(key)))).one_or_none()
