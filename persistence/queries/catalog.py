"""Read catalogue imports and search the catalogue. The words of a search are stored until a worker reads them."""

from collections.abc import Sequence
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import text

from persistence.queries.assessments import active_credentials
from persistence.queries.catalog_views import IMPORT, ImportView, import_view
from persistence.queries.reader import Reader
from persistence.queries.views import CredentialView
from persistence.tables import CredentialRow

# Each search deletes expired words, so that a killed worker does not leave words in the table for long.
_KEEP: Final = text("""
WITH forgotten AS (DELETE FROM catalog_searches WHERE created_at < now() - interval '1 minute')
INSERT INTO catalog_searches (id, words) VALUES (:id, :words)
""")
_FORGET: Final = text("DELETE FROM catalog_searches WHERE id = :id")

# Credentials with all words come before those with some. At most 1,000 of each kind are ranked: ranking all matches of
# a frequent word in a large catalogue takes seconds.
_BY_WORDS: Final = text("""
WITH query AS MATERIALIZED (
  SELECT plainto_tsquery('english', :words) AS every_word, (
    SELECT CAST(string_agg('''' || replace(replace(lexeme, '\\', '\\\\'), '''', '''''') || '''', ' | ') AS tsquery)
    FROM unnest(to_tsvector('english', :words))
  ) AS some_word
), found AS (
  (SELECT c.id, true AS every, ts_rank_cd(c.search, every_word) AS rank
   FROM query JOIN credential_catalog AS c ON c.search @@ every_word WHERE c.active LIMIT 1000)
  UNION ALL
  (SELECT c.id, false, ts_rank_cd(c.search, some_word)
   FROM query JOIN credential_catalog AS c ON c.search @@ some_word WHERE c.active LIMIT 1000)
)
SELECT id FROM found GROUP BY id ORDER BY bool_or(every) DESC, max(rank) DESC, id LIMIT :limit
""")


class CatalogQueries(Reader):
    async def import_(self, import_id: UUID) -> ImportView | None:
        async with self._connection() as connection:
            found = (await connection.execute(text(IMPORT), {"import_id": import_id})).mappings().one_or_none()
        return import_view(found) if found else None

    async def keep_words(self, words: str) -> UUID:
        """Store the words of a search for a worker, which reads them once within a minute; return the search's id."""
        search_id = uuid4()
        async with self._connection() as connection:
            await connection.execute(_KEEP, {"id": search_id, "words": words})
        return search_id

    async def forget_words(self, search_id: UUID) -> None:
        async with self._connection() as connection:
            await connection.execute(_FORGET, {"id": search_id})

    async def by_words(self, words: str, limit: int) -> list[UUID]:
        """Return active credentials whose title or description contains some of the words, best first."""
        async with self._connection() as connection:
            return list((await connection.execute(_BY_WORDS, {"words": words, "limit": limit})).scalars())

    async def active(self, ids: Sequence[UUID]) -> list[CredentialView]:
        """Return the active ones of these credentials, in the order of the ids."""
        found = await self._all(CredentialView, active_credentials().where(CredentialRow.id.in_(ids)))
        places = {id_: place for place, id_ in enumerate(ids)}
        return sorted(found, key=lambda each: places[each.id])
