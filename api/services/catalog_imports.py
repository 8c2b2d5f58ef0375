"""Import credentials into the catalogue."""

from collections.abc import Awaitable, Callable
from functools import partial

from api.dependencies import CatalogServices
from api.schemas.csv_body import parse_csv
from api.workflow_engine import notify_engine
from persistence.content.catalog_rows import Reading, read_rows
from persistence.queries.catalog_views import ImportView


def read_csv(body: bytes) -> Reading:
    """Parse and check a CSV of credentials. Raises InvalidInput with the problems of its rows."""
    table = parse_csv(body)
    detected = {"encoding": table.detected.encoding, "delimiter": table.detected.delimiter_name}
    return read_rows(table.rows, detected)


class EmbeddingStart:
    """The call that starts the embedding of new and changed entries, after the commit of an import."""

    def __init__(self, catalog: CatalogServices) -> None:
        self._catalog = catalog

    def after(self, added: ImportView) -> Callable[[], Awaitable[bool]]:
        return partial(notify_engine, self.start, added)

    async def start(self, _: ImportView) -> None:
        await self._catalog.runs.start()
