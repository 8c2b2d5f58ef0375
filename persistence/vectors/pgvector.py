"""Hybrid search in PostgreSQL: cosine over pgvector and full text, fused."""

import json
from collections.abc import Sequence
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.errors import InvalidInput
from domain.ports import SearchQuery
from domain.recommendations import SearchHit
from domain.vectors import check_vector
from persistence.failures import storage_errors

WORD_SHARE: Final = 0.3
"""The words' part of the fused score: half of what it takes to win, because meaning finds more than wording."""
POOL: Final = 4
LEAST_POOL: Final = 40
"""Each of the two searches fetches so many times the limit, but at least so many, before they are fused."""

# One statement for all queries. A current vector is one of the text as it stands now, by this model. Both parts of the
# score are spread to 0..1 over what was found: cosines of a catalogue lie too close together to be added to ranks.
# Words are alternatives, because a query describes a skill in more words than a credential repeats. The index returns
# its neighbours before withdrawn and stale ones are dropped, so it goes on until there are enough.
_SEARCH: Final = text("""
WITH setting AS MATERIALIZED (
  SELECT set_config('hnsw.iterative_scan', 'strict_order', true)
), query AS MATERIALIZED (
  SELECT q.n, q.vector, q.skills,
    CAST(regexp_replace(CAST(plainto_tsquery('english', q.words) AS text), ' (&|<[-0-9]+>) ', ' | ', 'g') AS tsquery)
      AS words
  FROM setting, json_to_recordset(CAST(:queries AS json)) AS q(n int, words text, vector vector(384), skills text[])
), current AS NOT MATERIALIZED (
  SELECT c.id AS credential_id, a.id AS artifact_id, a.vector, c.search, c.skills
  FROM credential_catalog AS c
  JOIN embedding_artifacts AS a ON a.entity_id = c.id AND a.text_hash = c.text_hash
  WHERE c.active AND a.entity_type = 'credential' AND a.provider = :provider AND a.model = :model
)
SELECT query.n, hit.credential_id, hit.artifact_id, hit.similarity, hit.score
FROM query CROSS JOIN LATERAL (
  WITH near AS (
    SELECT credential_id, artifact_id, vector, search FROM current
    WHERE cardinality(query.skills) = 0 OR current.skills && query.skills
    ORDER BY current.vector <=> query.vector LIMIT :pool
  ), worded AS (
    SELECT credential_id, artifact_id, vector, search FROM current
    WHERE current.search @@ query.words AND (cardinality(query.skills) = 0 OR current.skills && query.skills)
    ORDER BY ts_rank_cd(current.search, query.words) DESC, credential_id LIMIT :pool
  ), found AS (
    SELECT DISTINCT ON (credential_id) credential_id, artifact_id,
      1 - (vector <=> query.vector) AS similarity, ts_rank_cd(search, query.words) AS rank
    FROM (SELECT * FROM near UNION ALL SELECT * FROM worded) AS either
  )
  SELECT credential_id, artifact_id, similarity,
    (1 - :word_share) * coalesce(
      (similarity - min(similarity) OVER ()) / nullif(max(similarity) OVER () - min(similarity) OVER (), 0), 1)
    + :word_share * coalesce(rank / nullif(max(rank) OVER (), 0), 0) AS score
  FROM found
  ORDER BY score DESC, credential_id LIMIT :limit
) AS hit
ORDER BY query.n, hit.score DESC, hit.credential_id
""")


class PgVectorIndex:
    """A CredentialIndex over the vectors of one provider's model.

    Raises:
        InvalidInput: a limit below 1, or a vector that is none.
        StorageUnavailable: the database is away or overloaded.
    """

    def __init__(self, engine: AsyncEngine, provider: str, model: str) -> None:
        self._engine = engine
        self._provider = provider
        self._model = model

    async def search(self, queries: Sequence[SearchQuery], *, limit: int) -> list[list[SearchHit]]:
        if limit < 1:
            raise InvalidInput("A search returns at least one hit")
        for query in queries:
            check_vector(query.vector)
        hits: list[list[SearchHit]] = [[] for _ in queries]
        if not queries:
            return hits
        values = {
            "queries": _document(queries),
            "provider": self._provider,
            "model": self._model,
            "word_share": WORD_SHARE,
            "pool": max(LEAST_POOL, POOL * limit),
            "limit": limit,
        }
        with storage_errors():
            async with self._engine.connect() as connection:
                rows = (await connection.execute(_SEARCH, values)).all()
        for row in rows:
            hits[row.n].append(
                SearchHit(
                    credential_id=row.credential_id,
                    artifact_id=row.artifact_id,
                    similarity=row.similarity,
                    score=row.score,
                )
            )
        return hits


def _document(queries: Sequence[SearchQuery]) -> str:
    """The queries as one JSON parameter; pgvector reads an array of numbers as it stands."""
    return json.dumps(
        [
            {"n": n, "words": query.text, "vector": list(query.vector), "skills": query.skills}
            for n, query in enumerate(queries)
        ]
    )
