"""Preferences that are read for a batch of learners equal those that are read for each learner alone."""

import random
from datetime import date, timedelta
from typing import Final
from uuid import UUID

import pytest
from pydantic_core import from_json
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.database import Database
from domain.recommending.recommendations import Preferences, Reactions
from persistence.repositories import preferences
from persistence.tables import LearnerCredentialRow
from tests.persistence.test_catalog import an_earlier_learner
from tests.support.builders import a_user, an_organization, some_credentials

# Selects the preferences of one learner, without anything that a batch shares.
_OF_ONE: Final = text("""
WITH newest AS (
  SELECT f.* FROM organizations AS o CROSS JOIN LATERAL (
    SELECT * FROM recommendation_feedback AS f
    WHERE f.organization_id = o.id AND f.submitted_by_role = 'student' AND f.submitted_by <> :user_id
    ORDER BY f.submitted_at DESC, f.id LIMIT :limit
  ) AS f
  WHERE :everywhere OR o.id = :organization_id
  ORDER BY f.submitted_at DESC, f.id LIMIT :limit
), said AS (
  SELECT * FROM newest
  UNION ALL
  SELECT f.* FROM assessments AS a
  JOIN recommendations AS r ON r.assessment_id = a.id
  JOIN recommendation_feedback AS f ON f.recommendation_id = r.id AND f.submitted_by = a.user_id
  WHERE a.user_id = :user_id
), rated AS (
  SELECT DISTINCT ON (said.submitted_by, about.credential_id)
    said.submitted_by AS learner, about.credential_id, said.submitted_at AS at,
    CASE acceptance_status WHEN 'accepted' THEN 5 WHEN 'rejected' THEN 1 ELSE relevance_score END AS rating
  FROM said CROSS JOIN LATERAL (
    SELECT said.credential_id WHERE said.credential_id IS NOT NULL
    UNION ALL
    SELECT i.credential_id FROM recommendation_items AS i
    WHERE said.credential_id IS NULL AND i.recommendation_id = said.recommendation_id
  ) AS about
  WHERE acceptance_status IN ('accepted', 'rejected') OR relevance_score IS NOT NULL
  ORDER BY said.submitted_by, about.credential_id, said.credential_id IS NULL, said.submitted_at DESC, said.id
), held AS (
  SELECT credential_id, earned_at FROM learner_credentials WHERE user_id = :user_id
), own AS (
  SELECT credential_id, at, rating FROM rated WHERE learner = :user_id
    AND credential_id NOT IN (SELECT credential_id FROM held)
  UNION ALL SELECT credential_id, CAST(earned_at AS timestamptz), 5 FROM held
)
SELECT
  (SELECT coalesce(array_agg(credential_id), '{}') FROM held) AS held,
  (SELECT coalesce(array_agg(CAST(credential_id AS text) ORDER BY at, credential_id), '{}') FROM own) AS own,
  (SELECT coalesce(array_agg(rating ORDER BY at, credential_id), '{}') FROM own) AS own_ratings,
  (
    SELECT CAST(json_build_array(
      coalesce(json_agg(learner), '[]'), coalesce(json_agg(credential_id), '[]'), coalesce(json_agg(rating), '[]')
    ) AS text)
    FROM (SELECT * FROM rated WHERE learner <> :user_id ORDER BY learner, at, credential_id) AS others
  ) AS others
""")
SAID: Final = (
    {"relevance_score": 4},
    {"relevance_score": 2},
    {"acceptance_status": "accepted"},
    {"acceptance_status": "rejected", "relevance_score": 5},
    {"acceptance_status": "pending"},
)


async def of_one(session: AsyncSession, user_id: UUID, organization_id: UUID, limit: int) -> Preferences:
    wanted = {"user_id": user_id, "organization_id": organization_id, "everywhere": False, "limit": limit}
    row = (await session.execute(_OF_ONE, wanted)).one()
    learners, credentials, ratings = from_json(row.others)
    return Preferences(
        held=frozenset(row.held),
        own=tuple(zip(row.own, map(float, row.own_ratings), strict=True)),
        others=Reactions(learners=learners, credentials=credentials, ratings=ratings),
    )


async def some_learners(session: AsyncSession, organization_id: UUID, chance: random.Random) -> list[UUID]:
    """Create learners with reactions to single credentials and to all, held credentials, or neither."""
    credentials = await some_credentials(session, 4)
    learners = []
    for hours in range(8):
        shown = chance.sample(credentials, 3)
        said = [
            chance.choice(SAID)
            | ({} if chance.random() < 1 / 3 else {"credential_id": chance.choice(shown)})
            | ({"submitted_by_role": "advisor"} if chance.random() < 1 / 8 else {})
            for _ in range(hours)
        ]
        for one in said:
            one["id"] = UUID(int=chance.getrandbits(128))
        learner = await an_earlier_learner(session, organization_id, shown, *said, hours_ago=chance.randint(1, 2))
        if chance.random() < 1 / 2:
            held = {"credential_id": chance.choice(credentials), "earned_at": date(2026, 1, 2) + timedelta(days=hours)}
            await session.execute(insert(LearnerCredentialRow).values(user_id=learner, **held))
        learners.append(learner)
    return [*learners, await a_user(session, organization_id)]


@pytest.mark.parametrize("limit", [1, 3, 7, 12, 2000])
async def test_a_batch_reads_the_same_as_each_learner_alone(
    session: AsyncSession, database: Database, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    monkeypatch.setattr(preferences, "MAX_REACTIONS", limit)
    organization_id = await an_organization(session)
    learners = await some_learners(session, organization_id, random.Random(limit))

    async with database.statement() as uow:
        batch = await uow.catalog.preferences_of(learners, organization_id)

    assert batch.keys() == set(learners)
    for each in learners:
        alone = await of_one(session, each, organization_id, limit)
        found = batch[each]
        assert (found.held, found.own, found.others) == (alone.held, alone.own, alone.others)


async def test_learners_without_recent_reactions_share_the_others(session: AsyncSession, database: Database) -> None:
    organization_id = await an_organization(session)
    credentials = await some_credentials(session, 1)
    reacted = await an_earlier_learner(session, organization_id, credentials, {"relevance_score": 4})
    new, other = [await a_user(session, organization_id) for _ in range(2)]

    async with database.statement() as uow:
        found = await uow.catalog.preferences_of([new, other, reacted], organization_id)

    assert found[new].others is found[other].others
    assert [found[each].reacted for each in (new, other, reacted)] == [False, False, True]
    assert not found[reacted].others.learners
