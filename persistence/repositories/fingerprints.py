"""The repository of the fingerprints of answers.

A stored shingle is the XOR of the hash of its words with a hash of the organization and the question. So one narrow
index finds the answers of an organization to a question that share a shingle.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, Uuid, bindparam, text

from domain.assessments.questions import QuestionKind
from domain.grading.copies import COMMON, MOST_SOURCES, OtherAnswer, OtherAnswers, PublishedAnswers
from domain.sweeps import Cursor
from persistence.repositories.base import Repository
from persistence.repositories.documents import decode_answer

# At most COMMON answers are read per shingle, so the cost does not depend on the number of stored answers. Each shared
# shingle counts less, the more answers contain it. The user is locked, so that no erasure begins meanwhile.
ADD: Final = text("""
WITH own AS (
  SELECT a.id, a.user_id, a.organization_id, coalesce(a.submitted_at, a.expires_at) AS submitted_at,
    users.status IN ('erasing', 'erased') AS erased
  FROM assessments AS a JOIN users ON users.id = a.user_id
  WHERE a.id = :assessment_id
  FOR SHARE OF users
), asked AS (
  SELECT snapshot.id AS snapshot_id, snapshot.question_id, given.shingle AS word_hash,
    given.shingle # CAST(CAST('x' || encode(substr(sha256(
      uuid_send(own.organization_id) || uuid_send(snapshot.question_id)
    ), 1, 8), 'hex') AS bit(64)) AS bigint) AS shingle
  FROM unnest(:snapshots, :shingles) AS given (snapshot_id, shingle)
  JOIN assessment_question_snapshots AS snapshot ON snapshot.id = given.snapshot_id
  JOIN own ON own.id = snapshot.assessment_id
), added AS (
  INSERT INTO answer_shingles (shingle, question_snapshot_id)
  SELECT asked.shingle, asked.snapshot_id FROM asked CROSS JOIN own WHERE NOT own.erased
    AND EXISTS (SELECT FROM assessment_responses AS response WHERE response.question_snapshot_id = asked.snapshot_id)
  ON CONFLICT DO NOTHING
), shared AS MATERIALIZED (
  SELECT asked.snapshot_id, asked.question_id, asked.word_hash, hit.question_snapshot_id AS other_id,
    count(*) OVER (PARTITION BY asked.snapshot_id, asked.shingle) AS answers
  FROM asked CROSS JOIN LATERAL (
    SELECT question_snapshot_id FROM answer_shingles
    WHERE answer_shingles.shingle = asked.shingle AND question_snapshot_id <> asked.snapshot_id
    ORDER BY question_snapshot_id LIMIT :common
  ) AS hit
), candidate AS MATERIALIZED (
  SELECT snapshot_id, question_id, other_id, sum(1.0 / answers) AS weight
  FROM shared GROUP BY snapshot_id, question_id, other_id
)
SELECT found.snapshot_id, found.assessment_id, found.other_id, response.answer, NULL AS common, found.place
FROM (
  SELECT candidate.snapshot_id, candidate.other_id, other.id AS assessment_id,
    row_number() OVER (PARTITION BY candidate.snapshot_id ORDER BY candidate.weight DESC, candidate.other_id) AS place
  FROM candidate CROSS JOIN own
  JOIN assessment_question_snapshots AS snapshot
    ON snapshot.id = candidate.other_id AND snapshot.question_id = candidate.question_id
  JOIN assessments AS other ON other.id = snapshot.assessment_id AND other.organization_id = own.organization_id
    AND other.user_id <> own.user_id
    AND (coalesce(other.submitted_at, other.expires_at), other.id) < (own.submitted_at, own.id)
  JOIN users ON users.id = other.user_id AND users.status NOT IN ('erasing', 'erased')
) AS found
JOIN assessment_responses AS response ON response.question_snapshot_id = found.other_id
WHERE found.place <= :most
UNION ALL
SELECT snapshot_id, NULL, NULL, NULL, array_agg(DISTINCT word_hash), NULL FROM shared WHERE answers >= :common
GROUP BY snapshot_id
ORDER BY place
""").bindparams(
    bindparam("snapshots", type_=ARRAY(Uuid)),
    bindparam("shingles", type_=ARRAY(BigInteger)),
)

# A page reads `limit` results, whether or not their answers have fingerprints, so its cost does not depend on the rest.
PUBLISHED: Final = text("""
SELECT result.id AS assessment_id, result.completed_at AS published_at, EXISTS (
  SELECT FROM assessment_question_snapshots AS snapshot
  JOIN assessment_responses AS response ON response.question_snapshot_id = snapshot.id
  WHERE snapshot.assessment_id = result.id AND snapshot.kind = 'text'
    AND NOT EXISTS (SELECT FROM answer_shingles WHERE question_snapshot_id = snapshot.id)
) AS missing
FROM (
  SELECT id, completed_at FROM assessments
  WHERE revision > 0 AND (completed_at, id) > (:at, :id) AND completed_at < now() - make_interval(secs => :older_than_s)
  ORDER BY completed_at, id LIMIT :limit
) AS result
ORDER BY result.completed_at, result.id
""")
_FIRST: Final = Cursor(id=UUID(int=0), at=datetime(1970, 1, 1, tzinfo=UTC))


class SqlFingerprints(Repository):
    async def add(self, assessment_id: UUID, shingles: Mapping[UUID, Sequence[int]]) -> dict[UUID, OtherAnswers]:
        pairs = [(snapshot, shingle) for snapshot, each in shingles.items() for shingle in each]
        if not pairs:
            return {}
        snapshots, hashes = zip(*pairs, strict=True)
        rows = await self._session.execute(
            ADD,
            {
                "assessment_id": assessment_id,
                "snapshots": list(snapshots),
                "shingles": list(hashes),
                "common": COMMON,
                "most": MOST_SOURCES,
            },
        )
        found = defaultdict[UUID, list[OtherAnswer]](list)
        common: dict[UUID, frozenset[int]] = {}
        for row in rows:
            if row.common is not None:
                common[row.snapshot_id] = frozenset(row.common)
            else:
                answer = str(decode_answer(QuestionKind.TEXT, row.answer))
                found[row.snapshot_id].append(
                    OtherAnswer(assessment_id=row.assessment_id, snapshot_id=row.other_id, text=answer)
                )
        return {
            snapshot: OtherAnswers(answers=tuple(answers), common=common.get(snapshot, frozenset()))
            for snapshot, answers in found.items()
        }

    async def published(self, *, after: Cursor | None, older_than_s: float, limit: int) -> tuple[PublishedAnswers, ...]:
        after = after or _FIRST
        position = {"at": after.at, "id": after.id, "older_than_s": older_than_s, "limit": limit}
        return tuple(PublishedAnswers(**row) for row in (await self._session.execute(PUBLISHED, position)).mappings())
