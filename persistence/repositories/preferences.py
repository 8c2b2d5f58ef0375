"""Read what learners hold and like, and what other learners like, for one learner or for a batch of learners."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final
from uuid import UUID

import numpy as np
from pydantic_core import from_json
from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.recommending.recommendations import HELD_RATING, Preferences, Reactions

MAX_REACTIONS: Final = 2_000
"""The number of other learners' reactions that a ranking reads."""

# The credentials that a reaction is about, and its rating. A reaction to one credential overrides a reaction to all
# credentials of a recommendation; a later reaction overrides an earlier one.
_RATED: Final = """
said CROSS JOIN LATERAL (
  SELECT said.credential_id WHERE said.credential_id IS NOT NULL
  UNION ALL
  SELECT i.credential_id FROM recommendation_items AS i
  WHERE said.credential_id IS NULL AND i.recommendation_id = said.recommendation_id
) AS about CROSS JOIN LATERAL (
  SELECT CASE said.acceptance_status WHEN 'accepted' THEN 5 WHEN 'rejected' THEN 1 ELSE said.relevance_score END
) AS given (rating)
WHERE given.rating IS NOT NULL
"""

# Selects the learners' held credentials and reactions, and the number of reactions.
_OWN: Final = text(f"""
WITH said AS MATERIALIZED (
  SELECT f.* FROM unnest(CAST(:user_ids AS uuid[])) AS u (id)
  JOIN assessments AS a ON a.user_id = u.id
  JOIN recommendations AS r ON r.assessment_id = a.id
  JOIN recommendation_feedback AS f ON f.recommendation_id = r.id AND f.submitted_by = a.user_id
), rated AS (
  SELECT DISTINCT ON (said.submitted_by, about.credential_id)
    said.submitted_by AS learner, about.credential_id, said.submitted_at AS at, given.rating
  FROM {_RATED}
  ORDER BY said.submitted_by, about.credential_id, said.credential_id IS NULL, said.submitted_at DESC, said.id
), held AS (
  SELECT user_id AS learner, credential_id, CAST(earned_at AS timestamptz) AS at FROM learner_credentials
  WHERE user_id = ANY(:user_ids)
), own AS (
  SELECT learner, credential_id, at, rating, false AS is_held FROM rated
  WHERE (learner, credential_id) NOT IN (SELECT learner, credential_id FROM held)
  UNION ALL SELECT learner, credential_id, at, CAST(:held_rating AS float8), true FROM held
)
SELECT u.id, liked.held, liked.own, liked.ratings, coalesce(counted.reactions, 0) AS reactions
FROM unnest(CAST(:user_ids AS uuid[])) AS u (id)
LEFT JOIN (
  SELECT learner, array_agg(credential_id) FILTER (WHERE is_held) AS held,
    array_agg(CAST(credential_id AS text) ORDER BY at, credential_id) AS own,
    array_agg(rating ORDER BY at, credential_id) AS ratings
  FROM own GROUP BY learner
) AS liked ON liked.learner = u.id
LEFT JOIN (SELECT submitted_by, count(*) AS reactions FROM said GROUP BY submitted_by) AS counted
  ON counted.submitted_by = u.id
""")  # noqa: S608  # a fragment of this file

# Selects the newest reactions of all learners. An index finds them, so the cost does not grow with the total number.
# `place` counts the reactions from the newest one. For each learner and credential there are up to two rows: the newest
# reaction to the credential, and the newest one to all, which `named` overrides if the row at that place is read.
_NEWEST: Final = text(f"""
WITH said AS (
  SELECT f.*, row_number() OVER (ORDER BY f.submitted_at DESC, f.id) AS place
  FROM organizations AS o CROSS JOIN LATERAL (
    SELECT * FROM recommendation_feedback AS f
    WHERE f.organization_id = o.id AND f.submitted_by_role = 'student'
    ORDER BY f.submitted_at DESC, f.id LIMIT :limit
  ) AS f
  WHERE :everywhere OR o.id = :organization_id
  ORDER BY f.submitted_at DESC, f.id LIMIT :limit
), rated AS (
  SELECT DISTINCT ON (said.submitted_by, about.credential_id, said.credential_id IS NULL)
    said.submitted_by AS learner, about.credential_id, said.submitted_at AS at, given.rating, said.place,
    said.credential_id IS NULL AS is_about_all
  FROM {_RATED}
  ORDER BY said.submitted_by, about.credential_id, said.credential_id IS NULL, said.place
), sorted AS (
  SELECT *, CASE WHEN is_about_all
    THEN min(place) FILTER (WHERE NOT is_about_all) OVER (PARTITION BY learner, credential_id) END AS named
  FROM rated ORDER BY learner, at, credential_id
)
SELECT
  (
    SELECT CAST(json_build_array(
      coalesce(json_agg(learner), '[]'), coalesce(json_agg(credential_id), '[]'), coalesce(json_agg(rating), '[]'),
      coalesce(json_agg(place), '[]'), coalesce(json_agg(coalesce(named, 0)), '[]')
    ) AS text)
    FROM sorted
  ) AS reactions,
  (
    SELECT CAST(coalesce(json_agg(json_build_array(submitted_by, place) ORDER BY place), '[]') AS text)
    FROM said WHERE submitted_by = ANY(:user_ids)
  ) AS own
""")  # noqa: S608  # a fragment of this file


async def preferences_of(
    session: AsyncSession, user_ids: Collection[UUID], organization_id: UUID, *, all_organizations: bool
) -> dict[UUID, Preferences]:
    """Return the preferences of each learner. Learners without a recent reaction share one object of the others."""
    wanted = {"user_ids": list(user_ids)}
    rows = (await session.execute(_OWN, wanted | {"held_rating": HELD_RATING})).all()
    scope = {"organization_id": organization_id, "everywhere": all_organizations}
    limit = MAX_REACTIONS + max((row.reactions for row in rows), default=0)
    newest = _Newest((await session.execute(_NEWEST, wanted | scope | {"limit": limit})).one())
    return {
        row.id: Preferences(
            held=frozenset(row.held or ()),
            own=tuple(zip(row.own or (), map(float, row.ratings or ()), strict=True)),
            others=newest.without(row.id),
            reacted=row.reactions > 0,
        )
        for row in rows
    }


class _Newest:
    """The newest reactions of all learners, with as many older ones as the most active learner of the batch has."""

    def __init__(self, row: Row[Any]) -> None:
        learners, credentials, ratings, places, named = from_json(row.reactions)
        self._columns = tuple(np.array(column, dtype=object) for column in (learners, credentials, ratings))
        self._places, self._named = np.array(places, dtype=int), np.array(named, dtype=int)
        self._own: Mapping[str, Sequence[int]] = _by_learner(from_json(row.own))
        self._everybody = self._first(MAX_REACTIONS, self._places > 0)

    def without(self, learner: UUID) -> Reactions:
        """Return the `MAX_REACTIONS` newest reactions of other learners."""
        own = self._own.get(str(learner))
        if own is None:
            return self._everybody
        number = MAX_REACTIONS
        for place in own:
            number += place <= number  # an own reaction makes room for an older one of another learner
        return self._first(number, self._columns[0] != str(learner))

    def _first(self, number: int, chosen: Any) -> Reactions:  # noqa: ANN401  # an array of truth values
        overridden = (self._named > 0) & (self._named <= number)
        read = chosen & (self._places <= number) & ~overridden
        learners, credentials, ratings = (column[read].tolist() for column in self._columns)
        return Reactions(learners=learners, credentials=credentials, ratings=ratings)


def _by_learner(pairs: Sequence[tuple[str, int]]) -> dict[str, list[int]]:
    found = defaultdict[str, list[int]](list)
    for learner, place in pairs:
        found[learner].append(place)
    return dict(found)
