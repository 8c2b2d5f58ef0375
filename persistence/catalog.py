"""Roles, credentials and earlier learners, as the recommender reads them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Final
from uuid import UUID

from pydantic_core import from_json
from sqlalchemy import bindparam, delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments import Assessment
from domain.calibrating import LIKED, Tally
from domain.errors import NotFound
from domain.recommendations import Neighbour
from domain.roles import Credential, Role
from persistence import mappers
from persistence.tables import CatalogSearchRow, CredentialRow, LearnerCredentialRow, RoleRow
from persistence.tables.base import table_of

MAX_NEIGHBOURS: Final = 5_000

_roles: Final = table_of(RoleRow).c
_credentials: Final = table_of(CredentialRow).c
_held: Final = table_of(LearnerCredentialRow).c

_ROLE: Final = select(*mappers.ROLE_COLUMNS).where(_roles.id == bindparam("role_id"))
_CREDENTIALS: Final = select(*mappers.CREDENTIAL_COLUMNS).where(
    _credentials.active, _credentials.id == func.any(bindparam("ids"))
)
_HELD: Final = select(_held.credential_id).where(_held.user_id == bindparam("user_id"))

# Each learner's newest recommendation that they reacted to. What was said of one credential counts before what was said
# of all of them, and the later word before the earlier (the last of equal keys wins).
# All of it is one document: thousands of rows, each with two to decode, cost more than reading the tables.
_NEIGHBOURS: Final = text("""
WITH latest AS (
  SELECT DISTINCT ON (a.user_id) a.user_id, a.completed_at, r.id, r.skills
  FROM assessments AS a
  JOIN recommendations AS r ON r.assessment_id = a.id
  JOIN recommendation_feedback AS f ON f.recommendation_id = r.id AND f.submitted_by = a.user_id
  WHERE a.role_id = :role_id AND a.revision > 0 AND a.user_id <> :user_id
    AND (:everywhere OR a.organization_id = :organization_id)
  ORDER BY a.user_id, a.completed_at DESC, r.id
), reactions AS (
  SELECT latest.id, coalesce(f.credential_id, i.credential_id) AS credential_id, f.credential_id IS NOT NULL AS named,
    f.submitted_at,
    CASE f.acceptance_status WHEN 'accepted' THEN 5 WHEN 'rejected' THEN 1 ELSE f.relevance_score END AS rating
  FROM latest
  JOIN recommendation_feedback AS f ON f.recommendation_id = latest.id AND f.submitted_by = latest.user_id
  LEFT JOIN recommendation_items AS i ON f.credential_id IS NULL AND i.recommendation_id = latest.id
)
SELECT CAST(json_agg(json_build_array(user_id, skills, ratings)) AS text)
FROM (
  SELECT latest.user_id, latest.skills,
    jsonb_object_agg(reactions.credential_id, reactions.rating ORDER BY named, submitted_at) AS ratings
  FROM latest JOIN reactions USING (id)
  WHERE reactions.credential_id IS NOT NULL AND reactions.rating IS NOT NULL
  GROUP BY latest.user_id, latest.skills, latest.completed_at
  ORDER BY latest.completed_at DESC, latest.user_id
  LIMIT :limit
) AS neighbour
""")

MAX_REACTIONS: Final = 2_000

# Of the newest reactions of learners to what they were shown: what stood in another revision was shown with another
# score. As above, what was said of one credential counts before what was said of all of them, and the last word counts.
_TALLIES: Final = text("""
WITH said AS (
  SELECT f.id, f.recommendation_id, f.credential_id, f.submitted_at, r.metrics -> 'blend_weights' AS weights,
    CASE f.acceptance_status WHEN 'accepted' THEN 5 WHEN 'rejected' THEN 1 ELSE f.relevance_score END AS rating
  FROM recommendation_feedback AS f
  JOIN recommendations AS r ON r.id = f.recommendation_id AND r.revision = f.revision
  JOIN assessments AS a ON a.id = r.assessment_id AND a.user_id = f.submitted_by
  WHERE :everywhere OR a.organization_id = :organization_id
  ORDER BY f.submitted_at DESC, f.id LIMIT :limit
), shown AS (
  SELECT DISTINCT ON (said.recommendation_id, i.credential_id) said.rating, part.reactions, (
      SELECT sum(CAST(weight.value AS float8) * CAST(i.features ->> weight.key AS float8))
      FROM jsonb_each_text(said.weights) AS weight
    ) AS score
  FROM said
  CROSS JOIN LATERAL (
    SELECT CASE WHEN said.credential_id IS NULL THEN 1.0 / greatest(count(*), 1) ELSE 1 END AS reactions
    FROM recommendation_items AS each WHERE each.recommendation_id = said.recommendation_id
  ) AS part
  JOIN recommendation_items AS i ON i.recommendation_id = said.recommendation_id
    AND (said.credential_id IS NULL OR i.credential_id = said.credential_id)
  WHERE said.rating IS NOT NULL
  ORDER BY said.recommendation_id, i.credential_id, said.credential_id IS NULL, said.submitted_at DESC, said.id
)
SELECT CAST(avg(score) AS float8) AS score, CAST(sum(reactions) AS float8) AS reactions,
  CAST(coalesce(sum(reactions) FILTER (WHERE rating >= :liked), 0) AS float8) AS liked
FROM shown WHERE score IS NOT NULL GROUP BY round(CAST(score AS numeric), 2) ORDER BY 1
""")


class SqlCatalog:
    """`all_organizations` lets learners of every organization count as neighbours."""

    def __init__(self, session: AsyncSession, *, all_organizations: bool = False) -> None:
        self._session = session
        self._all_organizations = all_organizations

    async def role(self, role_id: UUID) -> Role:
        row = (await self._session.execute(_ROLE, {"role_id": role_id})).one_or_none()
        if row is None:
            raise NotFound(f"Role {role_id} does not exist")
        return mappers.role(row)

    async def credentials(self, ids: Sequence[UUID]) -> dict[UUID, Credential]:
        if not ids:
            return {}
        rows = await self._session.execute(_CREDENTIALS, {"ids": sorted(set(ids))})
        return {row["id"]: mappers.credential(row) for row in rows.mappings()}

    async def held(self, user_id: UUID) -> frozenset[UUID]:
        return frozenset((await self._session.execute(_HELD, {"user_id": user_id})).scalars())

    async def neighbours(self, assessment: Assessment) -> tuple[Neighbour, ...]:
        document = await self._session.scalar(
            _NEIGHBOURS,
            {
                "role_id": assessment.role_id,
                "user_id": assessment.user_id,
                "organization_id": assessment.organization_id,
                "everywhere": self._all_organizations,
                "limit": MAX_NEIGHBOURS,
            },
        )
        read = _Reader()
        return tuple(read.neighbour(UUID(id_), skills, ratings) for id_, skills, ratings in from_json(document or "[]"))

    async def take_words(self, search_id: UUID) -> str:
        taken = delete(CatalogSearchRow).where(CatalogSearchRow.id == search_id).returning(CatalogSearchRow.words)
        words = await self._session.scalar(taken)
        if words is None:
            raise NotFound(f"Nobody searches under {search_id}")
        return words

    async def tallies(self, assessment: Assessment) -> tuple[Tally, ...]:
        rows = await self._session.execute(
            _TALLIES,
            {
                "organization_id": assessment.organization_id,
                "everywhere": self._all_organizations,
                "limit": MAX_REACTIONS,
                "liked": LIKED,
            },
        )
        return tuple(
            Tally(score=round(row.score, 6), reactions=round(row.reactions, 6), liked=round(row.liked, 6))
            for row in rows
        )


class _Reader:
    """Thousands of neighbours share a few hundred credentials and scores: each text is parsed once."""

    def __init__(self) -> None:
        self._ids: dict[str, UUID] = {}
        self._numbers: dict[str | int, Decimal] = {}

    def neighbour(self, user_id: UUID, skills: Mapping[str, str], ratings: Mapping[str, int]) -> Neighbour:
        return Neighbour(
            id=user_id,
            skills={skill: self._number(score) for skill, score in skills.items()},
            reactions={self._id(credential): self._number(rating) for credential, rating in ratings.items()},
        )

    def _id(self, text: str) -> UUID:
        found = self._ids.get(text)
        return found if found is not None else self._ids.setdefault(text, UUID(text))

    def _number(self, value: str | int) -> Decimal:
        found = self._numbers.get(value)
        return found if found is not None else self._numbers.setdefault(value, Decimal(value))
