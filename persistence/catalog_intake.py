"""The unit of work of what platform admins write about the catalogue."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import TypeAlias
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from persistence.content.catalog_import import SqlCatalogImports
from persistence.queries.catalog_views import ImportView
from persistence.request_unit import RequestUnit
from persistence.unit_of_work import sessions


class CatalogIntakeUnit(RequestUnit):
    """A unit of work that imports."""

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        super().__init__(sessions)
        self.imports = SqlCatalogImports(self._session)

    async def subject(self, ids: Mapping[str, str]) -> ImportView | None:
        return await self.imports.view(UUID(ids["import_id"])) if "import_id" in ids else None


CatalogIntakeFactory: TypeAlias = Callable[[], CatalogIntakeUnit]


def catalog_intake_factory(engine: AsyncEngine) -> CatalogIntakeFactory:
    return partial(CatalogIntakeUnit, sessions(engine))
