"""Reads of the recommender: roles, credentials and earlier learners."""

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from functools import cache
from typing import Final
from uuid import UUID

from pydantic_core import from_json
from sqlalchemy import TextClause, bindparam, delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from domain.recommending.calibration import LIKED, Tally
from domain.recommending.ports import LearnerContext
from domain.recommending.recommendations import HELD_RATING, EarlierLearners, Preferences, Reactions
from domain.recommending.roles import Credential, Role
from persistence.repositories import mappers
from persistence.tables import AssessmentRow, CatalogSearchRow, CredentialRow, RoleRow
from persistence.tables.base import table_of

MAX_LEARNERS: Final = 5_000
"""The number of earlier learners that a ranking reads."""
MAX_RESULTS: Final = 10_000
"""The number of the role's newest results among which a ranking finds earlier learners."""
MAX_REACTIONS: Final = 2_000
"""The number of other learners' reactions that a ranking reads."""

_assessments: Final = table_of(AssessmentRow)
_roles: Final = table_of(RoleRow).c
_credentials: Final = table_of(CredentialRow).c

_ROLE: Final = select(*mappers.ROLE_COLUMNS).where(_roles.id == bindparam("role_id"))
_CREDENTIALS: Final = select(*mappers.CREDENTIAL_COLUMNS).where(
    _credentials.active, _credentials.id == func.any(bindparam("ids"))
)
_step: Final = table_of(CredentialRow).alias("step")
_wanted: Final = (
    select(_credentials.id, _credentials.prerequisites)
    .where(_credentials.active, _credentials.id == func.any(bindparam("ids")))
    .cte("wanted", recursive=True)
)
_chain: Final = _wanted.union(
    select(_step.c.id, _step.c.prerequisites)
    .join_from(_wanted, _step, _step.c.id == func.any(_wanted.c.prerequisites))
    .where(_step.c.active)
)
_WITH_PREREQUISITES: Final = select(*mappers.CREDENTIAL_COLUMNS).where(_credentials.id.in_(select(_chain.c.id)))

_LEARNER: Final = (
    select(
        *mappers.ASSESSMENT_COLUMNS,
        *(column.label(f"role_{column.key}") for column in mappers.ROLE_COLUMNS if column.key != "id"),
    )
    .join_from(_assessments, table_of(RoleRow), _roles.id == _assessments.c.role_id)
    .where(_assessments.c.id == bindparam("assessment_id"))
)

# Selects each learner's newest recommendation that they reacted to. The result is one JSON document with an array per
# column, because creating thousands of rows or objects costs more than reading the tables.
#
# An index returns the role's newest assessments first. Both limits end the scan, so its cost grows neither with the
# number of earlier learners nor with the number of results without reactions. EXISTS finds the recommendations with
# reactions; only the reactions of the nearest learners are read later.
_EARLIER: Final = """
WITH newest AS MATERIALIZED (
  SELECT a.user_id, a.completed_at, r.id, r.skills
  FROM (
    SELECT a.id, a.user_id, a.created_at, a.completed_at FROM assessments AS a
    WHERE a.role_id = :role_id AND a.revision > 0 AND {scope}
    ORDER BY {newest_first} LIMIT :most_results
  ) AS a JOIN recommendations AS r ON r.assessment_id = a.id
  WHERE EXISTS (
    SELECT FROM recommendation_feedback AS f WHERE f.recommendation_id = r.id AND f.submitted_by = a.user_id
  )
  ORDER BY {newest_first} LIMIT :limit
), latest AS (
  SELECT DISTINCT ON (user_id) * FROM newest ORDER BY user_id, completed_at DESC, id
)
SELECT CAST(array_to_json(ARRAY[{columns}]) AS text)
FROM (SELECT id, user_id, skills FROM latest ORDER BY completed_at DESC, user_id) AS learner
"""
_OWN_ORGANIZATION: Final = {
    "scope": "a.organization_id = :organization_id",
    "newest_first": "a.created_at DESC, a.id DESC",
}
_ALL_ORGANIZATIONS: Final = {"scope": "true", "newest_first": "a.completed_at DESC"}

# Selects the rating of each credential from the rows of `said`, by learner or by recommendation. A reaction to one
# credential overrides a reaction to all credentials; a later reaction overrides an earlier one.
_RATED: Final = """
  SELECT DISTINCT ON (said.{by}, about.credential_id)
    said.{by}, about.credential_id, said.submitted_at AS at,
    CASE acceptance_status WHEN 'accepted' THEN 5 WHEN 'rejected' THEN 1 ELSE relevance_score END AS rating
  FROM said CROSS JOIN LATERAL (
    SELECT said.credential_id WHERE said.credential_id IS NOT NULL
    UNION ALL
    SELECT i.credential_id FROM recommendation_items AS i
    WHERE said.credential_id IS NULL AND i.recommendation_id = said.recommendation_id
  ) AS about
  WHERE acceptance_status IN ('accepted', 'rejected') OR relevance_score IS NOT NULL
  ORDER BY said.{by}, about.credential_id, said.credential_id IS NULL, said.submitted_at DESC, said.id
"""
_RATED_BY_LEARNER: Final = _RATED.format(by="submitted_by")

_PREFERENCES: Final = text(f"""
WITH said AS (
  SELECT f.* FROM assessments AS a
  JOIN recommendations AS r ON r.assessment_id = a.id
  JOIN recommendation_feedback AS f ON f.recommendation_id = r.id AND f.submitted_by = a.user_id
  WHERE a.user_id = ANY(:user_ids)
), rated AS ({_RATED_BY_LEARNER}), held AS (
  SELECT user_id AS submitted_by, credential_id, CAST(earned_at AS timestamptz) AS at,
    CAST(:held_rating AS float8) AS rating
  FROM learner_credentials WHERE user_id = ANY(:user_ids)
), liking AS (
  SELECT submitted_by, credential_id, at, rating, false AS held FROM rated
  WHERE (submitted_by, credential_id) NOT IN (SELECT submitted_by, credential_id FROM held)
  UNION ALL SELECT *, true FROM held
)
SELECT submitted_by AS learner, array_agg(CAST(credential_id AS text) ORDER BY at, credential_id) AS credentials,
  array_agg(rating ORDER BY at, credential_id) AS ratings,
  coalesce(array_agg(credential_id) FILTER (WHERE held), '{{}}') AS held
FROM liking GROUP BY submitted_by
""")  # noqa: S608  # a fragment of this file

# An index finds the newest reactions, so the cost does not grow with the total number.
_NEWEST_REACTIONS: Final = text(f"""
WITH said AS (
  SELECT f.* FROM organizations AS o CROSS JOIN LATERAL (
    SELECT * FROM recommendation_feedback AS f
    WHERE f.organization_id = o.id AND f.submitted_by_role = 'student'
    ORDER BY f.submitted_at DESC, f.id LIMIT :limit
  ) AS f
  WHERE :everywhere OR o.id = :organization_id
  ORDER BY f.submitted_at DESC, f.id LIMIT :limit
)
SELECT CAST(json_build_array(
  coalesce(json_agg(submitted_by), '[]'), coalesce(json_agg(credential_id), '[]'), coalesce(json_agg(rating), '[]')
) AS text)
FROM (SELECT * FROM ({_RATED_BY_LEARNER}) AS rated ORDER BY submitted_by, at, credential_id) AS ordered
""")  # noqa: S608  # a fragment of this file

_REACTIONS: Final = text(f"""
WITH said AS (
  SELECT f.* FROM recommendation_feedback AS f
  JOIN recommendations AS r ON r.id = f.recommendation_id
  JOIN assessments AS a ON a.id = r.assessment_id AND a.user_id = f.submitted_by
  WHERE f.recommendation_id = ANY(:recommendations)
)
{_RATED.format(by="recommendation_id")}""")  # noqa: S608  # a fragment of this file

# Takes the newest reactions of learners to the revision that they saw, because another revision has other scores. As
# above, a reaction to one credential overrides a reaction to all, and the last reaction counts. An index finds each
# organization's newest reactions, so the cost does not grow with the total number.
_TALLIES: Final = text("""
WITH said AS (
  SELECT newest.* FROM organizations AS o CROSS JOIN LATERAL (
    SELECT f.id, f.recommendation_id, f.credential_id, f.submitted_at, r.metrics -> 'blend_weights' AS weights,
      CASE f.acceptance_status WHEN 'accepted' THEN 5 WHEN 'rejected' THEN 1 ELSE f.relevance_score END AS rating
    FROM recommendation_feedback AS f
    JOIN recommendations AS r ON r.id = f.recommendation_id AND r.revision = f.revision
    WHERE f.organization_id = o.id AND f.submitted_by_role = 'student'
    ORDER BY f.submitted_at DESC, f.id LIMIT :limit
  ) AS newest
  WHERE :everywhere OR o.id = :organization_id
  ORDER BY submitted_at DESC, id LIMIT :limit
), shown AS (
  SELECT DISTINCT ON (said.recommendation_id, i.credential_id) said.rating,
    CASE WHEN said.credential_id IS NULL THEN (
      SELECT 1.0 / count(*) FROM recommendation_items AS each WHERE each.recommendation_id = said.recommendation_id
    ) ELSE 1 END AS reactions, (
      SELECT sum(CAST(weight.value AS float8) * CAST(i.features ->> weight.key AS float8))
      FROM jsonb_each_text(said.weights) AS weight
    ) AS score
  FROM said
  JOIN recommendation_items AS i ON i.recommendation_id = said.recommendation_id
    AND (said.credential_id IS NULL OR i.credential_id = said.credential_id)
  WHERE said.rating IS NOT NULL
  ORDER BY said.recommendation_id, i.credential_id, said.credential_id IS NULL, said.submitted_at DESC, said.id
)
SELECT CAST(avg(score) AS float8) AS score, CAST(sum(reactions) AS float8) AS reactions,
  CAST(coalesce(sum(reactions) FILTER (WHERE rating >= :liked), 0) AS float8) AS liked
FROM shown WHERE score IS NOT NULL GROUP BY round(CAST(score AS numeric), 2) ORDER BY 1
""")


@cache
def _earlier(skills: int, *, all_organizations: bool) -> TextClause:
    """Return the statement for this number of skills."""
    scores = [f"json_agg(CAST(skills ->> CAST(:skill_{place} AS text) AS numeric))" for place in range(skills)]
    scope = _ALL_ORGANIZATIONS if all_organizations else _OWN_ORGANIZATION
    return text(_EARLIER.format(columns=", ".join(["json_agg(id)", "json_agg(user_id)", *scores]), **scope))


class SqlCatalog:
    """The port `Catalog`. `all_organizations`: learners of every organization count as neighbours."""

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

    async def learner(self, assessment_id: UUID) -> LearnerContext:
        row = (await self._session.execute(_LEARNER, {"assessment_id": assessment_id})).mappings().one_or_none()
        if row is None:
            raise NotFound(f"Assessment {assessment_id} does not exist")
        return LearnerContext(assessment=mappers.assessment(row), role=mappers.role_of_assessment(row))

    async def with_prerequisites(self, ids: Sequence[UUID]) -> dict[UUID, Credential]:
        if not ids:
            return {}
        rows = await self._session.execute(_WITH_PREREQUISITES, {"ids": sorted(set(ids))})
        return {row["id"]: mappers.credential(row) for row in rows.mappings()}

    async def preferences(self, user_ids: Sequence[UUID]) -> dict[UUID, Preferences]:
        wanted = {"user_ids": list(user_ids), "held_rating": HELD_RATING}
        found = {
            row.learner: Preferences(
                held=frozenset(row.held), own=tuple(zip(row.credentials, map(float, row.ratings), strict=True))
            )
            for row in await self._session.execute(_PREFERENCES, wanted)
        }
        return {each: found.get(each, Preferences()) for each in user_ids}

    async def newest_reactions(self, organization_id: UUID) -> Reactions:
        wanted = self._scope(organization_id) | {"limit": MAX_REACTIONS}
        learners, credentials, ratings = from_json(await self._session.scalar(_NEWEST_REACTIONS, wanted))
        return Reactions(learners=learners, credentials=credentials, ratings=ratings)

    async def earlier_learners(self, organization_id: UUID, role_id: UUID, skills: Sequence[str]) -> EarlierLearners:
        wanted = {
            **{f"skill_{place}": skill for place, skill in enumerate(skills)},
            "role_id": role_id,
            "limit": MAX_LEARNERS,
            "most_results": MAX_RESULTS,
            **({} if self._all_organizations else {"organization_id": organization_id}),
        }
        statement = _earlier(len(skills), all_organizations=self._all_organizations)
        ids, learners, *scores = from_json(await self._session.scalar(statement, wanted))
        if not ids:
            return EarlierLearners()
        return EarlierLearners(ids=ids, learners=learners, scores=dict(zip(skills, scores, strict=True)))

    async def reactions(self, recommendations: Sequence[UUID]) -> dict[UUID, dict[UUID, Decimal]]:
        found = defaultdict[UUID, dict[UUID, Decimal]](dict)
        for row in await self._session.execute(_REACTIONS, {"recommendations": list(recommendations)}):
            found[row.recommendation_id][row.credential_id] = Decimal(row.rating)
        return dict(found)

    async def take_words(self, search_id: UUID) -> str:
        taken = delete(CatalogSearchRow).where(CatalogSearchRow.id == search_id).returning(CatalogSearchRow.words)
        words = await self._session.scalar(taken)
        if words is None:
            raise NotFound(f"The words of search {search_id} were already read or have expired")
        return words

    async def tallies(self, organization_id: UUID) -> tuple[Tally, ...]:
        wanted = self._scope(organization_id) | {"limit": MAX_REACTIONS, "liked": LIKED}
        return tuple(
            Tally(score=round(row.score, 6), reactions=round(row.reactions, 6), liked=round(row.liked, 6))
            for row in await self._session.execute(_TALLIES, wanted)
        )

    def _scope(self, organization_id: UUID) -> dict[str, object]:
        return {"organization_id": organization_id, "everywhere": self._all_organizations}
