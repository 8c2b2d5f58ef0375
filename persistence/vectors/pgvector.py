"""Hybrid search in PostgreSQL: cosine similarity (pgvector) and full text, fused into one score."""

import json
from collections.abc import Sequence
from typing import Final

from sqlalchemy import Float, Integer, bindparam, text
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.recommending.ports import SearchQuery, SearchResult
from domain.recommending.recommendations import SearchHit
from persistence.database import storage_errors
from persistence.vectors.ranking import WORD_SHARE, check_search, pool_of

FEW: Final = 1_000
"""Up to this many credentials with the wanted skills are compared exactly, without the vector index."""
RANKED: Final = 1_000
"""About this many credentials, those with the query's rarest words, are ranked by full text. A word that is frequent
in a large catalogue hardly distinguishes credentials, and ranking all its matches takes seconds."""
CANDIDATES: Final = 400
"""The candidate list of a vector index scan (`hnsw.ef_search`): a longer list finds more of the nearest, more
slowly."""
K1: Final = 1.2
B: Final = 0.75
"""The usual parameters of BM25, and Weaviate's: saturation by a word's frequency, and normalization by length."""
WALKED: Final = 20_000
"""The maximum length of an index scan; pgvector has the same limit (`hnsw.max_scan_tuples`)."""

# One statement runs all queries. It uses only vectors of this model whose text is the credential's current text. Both
# parts of the score are scaled to 0..1 over the hits, because the cosines of a catalogue are too close together to be
# added to text ranks. The words of a query are alternatives (OR), because a query describes a skill in more words than
# a credential has.
#
# The text rank is BM25, as in Weaviate. A word that the query repeats counts as often as it occurs. `matched` has a row
# for each word of the query and credential with the word; the index on `search` finds them. The frequency of a word in
# a credential comes from ts_rank: 1 for one occurrence in the description, 2 for one in the title. With a skill filter,
# a word is rare if few of the filter's hits have it.
#
# Withdrawn and outdated entries are filtered after the vector index scan, so the scan continues until there are enough
# rows. pgvector before 0.8 cannot continue; it returns what remains of :candidates. The scan returns rows nearly in
# order: the pool is sorted later, and strict order would lose some of the nearest. The scan is a separate subquery with
# a LIMIT, and OFFSET 0 stops the planner from merging it: it cannot estimate how many rows pass the filters, expects
# very few, and would sort all vectors.
_SEARCH: Final = text("""
WITH setting AS MATERIALIZED (
  SELECT set_config('hnsw.ef_search', :candidates, true),
    CASE WHEN CAST(string_to_array(extversion, '.') AS int[]) >= '{0,8}'
    THEN set_config('hnsw.iterative_scan', 'relaxed_order', true) END
  FROM pg_extension WHERE extname = 'vector'
), total AS MATERIALIZED (  -- exact up to :few
  SELECT CASE WHEN count(*) < :few THEN count(*) ELSE greatest(count(*), (
      SELECT reltuples FROM pg_class WHERE oid = CAST('credential_catalog' AS regclass)
    )) END AS credentials
  FROM (SELECT FROM credential_catalog WHERE active LIMIT :few) AS first
), common AS MATERIALIZED (
  SELECT word.lexeme, word.share * catalog.reltuples AS credentials
  FROM pg_class AS catalog, pg_stats AS known,
    unnest(CAST(CAST(known.most_common_elems AS text) AS text[]), known.most_common_elem_freqs) AS word(lexeme, share)
  WHERE catalog.oid = CAST('credential_catalog' AS regclass) AND known.schemaname = current_schema()
    AND known.tablename = 'credential_catalog' AND known.attname = 'search'
), query AS MATERIALIZED (
  SELECT q.n, q.vector, q.skills, asked.words, asked.times,
    taught.ids AS taught,
    CASE WHEN cardinality(taught.ids) BETWEEN 1 AND :few - 1 THEN cardinality(taught.ids) ELSE total.credentials END
      AS searched
  FROM setting, total,
    json_to_recordset(CAST(:queries AS json)) AS q(n int, words text, vector vector(384), skills text[]),
    LATERAL (
      SELECT array_agg(CAST('''' || replace(replace(lexeme, '\\', '\\\\'), '''', '''''') || '''' AS tsquery)) AS words,
        array_agg(cardinality(positions)) AS times
      FROM (
        SELECT lexeme, positions,
          sum(coalesce(credentials, 0)) OVER (ORDER BY coalesce(credentials, 0), lexeme) AS ranked
        FROM unnest(to_tsvector('english', q.words)) LEFT JOIN common USING (lexeme)
      ) AS word
      WHERE ranked <= :ranked
    ) AS asked,
    LATERAL (SELECT ARRAY(
      SELECT id FROM credential_catalog WHERE active AND skills && q.skills LIMIT :few
    ) AS ids) AS taught
)
SELECT query.n, hit.credential_id, hit.artifact_id, hit.similarity, hit.score
FROM query CROSS JOIN LATERAL (
  WITH near AS (
    SELECT credential_id, artifact_id, vector FROM (
      SELECT id AS artifact_id, entity_id, text_hash, vector FROM embedding_artifacts
      WHERE entity_type = 'credential' AND provider = :provider AND model = :model
      ORDER BY vector <=> query.vector LIMIT :walked
    ) AS a CROSS JOIN LATERAL (
      SELECT c.id AS credential_id FROM credential_catalog AS c
      WHERE c.id = a.entity_id AND c.text_hash = a.text_hash AND c.active
        AND (cardinality(query.skills) = 0 OR c.skills && query.skills)
      OFFSET 0
    ) AS current
    WHERE cardinality(query.skills) = 0 OR cardinality(query.taught) = :few
    LIMIT :pool
  ), exact AS (
    SELECT c.id AS credential_id, a.id AS artifact_id, a.vector
    FROM unnest(query.taught) AS taught(id) JOIN credential_catalog AS c USING (id)
    JOIN embedding_artifacts AS a ON a.entity_id = c.id AND a.text_hash = c.text_hash
    WHERE cardinality(query.taught) < :few
      AND a.entity_type = 'credential' AND a.provider = :provider AND a.model = :model
    ORDER BY a.vector <=> query.vector LIMIT :pool
  ), matched AS (
    SELECT c.id, c.text_hash, word.times, count(*) OVER (PARTITION BY word.place) AS holders,
      ts_rank('{0, 0, 0.5, 1}', c.search, word.query) * 2 * 1.64493406685 AS frequency,  -- ts_rank divides by 1.64…
      length(c.search) / avg(length(c.search)) OVER () AS length
    FROM unnest(query.words, query.times) WITH ORDINALITY AS word(query, times, place)
    JOIN credential_catalog AS c ON c.search @@ word.query
    WHERE c.active AND (cardinality(query.skills) = 0 OR c.skills && query.skills)
  ), ranked AS MATERIALIZED (
    SELECT id, text_hash, sum(
        times * ln(1 + (greatest(query.searched - holders, 0) + 0.5) / (holders + 0.5))
        * frequency / (frequency + :k1 * (1 - :b + :b * length))
      ) AS rank
    FROM matched GROUP BY id, text_hash
  ), worded AS (
    SELECT best.id AS credential_id, a.id AS artifact_id, a.vector
    FROM (SELECT * FROM ranked ORDER BY rank DESC, id LIMIT :pool) AS best
    JOIN embedding_artifacts AS a ON a.entity_id = best.id AND a.text_hash = best.text_hash
    WHERE a.entity_type = 'credential' AND a.provider = :provider AND a.model = :model
  ), found AS (
    SELECT DISTINCT ON (credential_id) credential_id, artifact_id,
      1 - (vector <=> query.vector) AS similarity, coalesce(ranked.rank, 0) AS rank
    FROM (SELECT * FROM near UNION ALL SELECT * FROM exact UNION ALL SELECT * FROM worded) AS either
    LEFT JOIN ranked ON ranked.id = either.credential_id
  )
  SELECT credential_id, artifact_id, similarity,
    (1 - :word_share) * coalesce(
      (similarity - min(similarity) OVER ()) / nullif(max(similarity) OVER () - min(similarity) OVER (), 0), 1)
    + :word_share * coalesce(rank / nullif(max(rank) OVER (), 0), 0) AS score
  FROM found
  ORDER BY score DESC, credential_id LIMIT :limit
) AS hit
ORDER BY query.n, hit.score DESC, hit.credential_id
""").bindparams(
    bindparam("k1", type_=Float),
    bindparam("b", type_=Float),
    # Limits are literals in the statement: the planner never prefers a cached plan when it does not know the limits.
    *(bindparam(name, type_=Integer, literal_execute=True) for name in ("pool", "few", "ranked", "walked", "limit")),
)


class PgVectorIndex:
    """The port `CredentialIndex` over the vectors of one provider's model.

    Raises:
        InvalidInput: the limit is below 1, or a vector is not valid.
        StorageUnavailable: the database is unreachable or overloaded.
    """

    def __init__(self, engine: AsyncEngine, provider: str, model: str) -> None:
        self._engine = engine
        self._provider = provider
        self._model = model

    async def search(self, queries: Sequence[SearchQuery], *, limit: int) -> SearchResult:
        check_search(queries, limit)
        hits: list[list[SearchHit]] = [[] for _ in queries]
        if not queries:
            return SearchResult(hits=())
        values = {
            "queries": _document(queries),
            "provider": self._provider,
            "model": self._model,
            "word_share": WORD_SHARE,
            "k1": K1,
            "b": B,
            "pool": pool_of(limit),
            "few": FEW,
            "ranked": RANKED,
            "walked": WALKED,
            "candidates": str(CANDIDATES),
            "limit": limit,
        }
        with storage_errors():
            # Committed, because psycopg discards its prepared statements when a transaction is rolled back.
            async with self._engine.begin() as connection:
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
        return SearchResult(hits=tuple(map(tuple, hits)))


def _document(queries: Sequence[SearchQuery]) -> str:
    """Return the queries as one JSON parameter; pgvector parses a JSON array of numbers as a vector."""
    return json.dumps(
        [
            {"n": n, "words": query.text, "vector": list(query.vector), "skills": query.skills}
            for n, query in enumerate(queries)
        ]
    )
