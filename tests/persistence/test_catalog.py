"""Reads of the recommender: roles, active credentials, credentials of a learner, and reactions of earlier learners."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import insert, update
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from domain.assessments.lifecycle import Assessment
from domain.database import Database
from domain.errors import NotFound
from domain.recommending.recommendations import EarlierLearners, Preferences, Reactions
from persistence.repositories import catalog
from persistence.tables import (
    CredentialRow,
    FeedbackRow,
    LearnerCredentialRow,
    RecommendationItemRow,
    RecommendationRow,
)
from tests.support.builders import ROLE_ID, ROLE_KEY, a_user, an_assessment, an_organization, some_credentials
from tests.support.rolled_back_database import RolledBackDatabase

SKILLS = {"SQL querying": "0.4"}


@pytest.fixture
async def learner(session: AsyncSession) -> Assessment:
    """The assessment of the learner who gets recommendations."""
    return await an_assessment(session, items=2)


async def an_earlier_learner(
    session: AsyncSession,
    organization_id: UUID,
    credentials: list[UUID],
    *feedback: dict[str, Any],
    user_id: UUID | None = None,
    hours_ago: int = 1,
) -> UUID:
    """Create a learner of the same role with a published recommendation of the credentials, and their reaction."""
    user_id = user_id or await a_user(session, organization_id)
    completed_at = datetime.now(UTC) - timedelta(hours=hours_ago)
    assessment = await an_assessment(
        session, user_id=user_id, items=2, status="completed", revision=1, completed_at=completed_at
    )
    recommendation_id = uuid4()
    await session.execute(
        insert(RecommendationRow).values(
            id=recommendation_id,
            assessment_id=assessment.id,
            revision=1,
            summary="",
            status="ready",
            generated_at=completed_at,
            metrics={},
            skills=SKILLS,
        )
    )
    for position, credential_id in enumerate(credentials, start=1):
        await session.execute(
            insert(RecommendationItemRow).values(
                id=uuid4(),
                recommendation_id=recommendation_id,
                credential_id=credential_id,
                title="",
                confidence=0.5,
                rationale="",
                source_trace_ids=[],
                features={},
                position=position,
            )
        )
    for minute, said in enumerate(feedback):
        values = {
            "id": uuid4(),
            "recommendation_id": recommendation_id,
            "revision": 1,
            "submitted_by": user_id,
            "submitted_by_role": "student",
            "submitted_at": completed_at + timedelta(minutes=minute),
        }
        await session.execute(insert(FeedbackRow).values(**(values | said)))
    return user_id


async def earlier(database: Database, learner: Assessment) -> EarlierLearners:
    async with database.transaction() as uow:
        return await uow.catalog.earlier_learners(learner.organization_id, ROLE_ID, ["SQL querying", "Data cleaning"])


async def reactions(database: Database, learner: Assessment) -> list[dict[UUID, Decimal]]:
    """Return the reactions of each earlier learner, in their order."""
    found = await earlier(database, learner)
    async with database.transaction() as uow:
        told = await uow.catalog.reactions([UUID(each) for each in found.ids])
    return [told[UUID(each)] for each in found.ids]


async def test_a_role_has_its_targets(database: Database) -> None:
    async with database.transaction() as uow:
        role = await uow.catalog.role(ROLE_ID)

    assert role.key == ROLE_KEY
    assert "SQL querying" in {target.skill for target in role.skills}


async def test_an_unknown_role_is_not_found(database: Database) -> None:
    async with database.transaction() as uow:
        with pytest.raises(NotFound):
            await uow.catalog.role(uuid4())


async def test_withdrawn_and_unknown_credentials_are_left_out(session: AsyncSession, database: Database) -> None:
    active, withdrawn = await some_credentials(session, 2)
    await session.execute(update(CredentialRow).where(CredentialRow.id == withdrawn).values(active=False))

    async with database.transaction() as uow:
        found = await uow.catalog.credentials([active, withdrawn, uuid4()])

    assert found.keys() == {active}
    assert found[active].id == active


async def test_prerequisites_of_every_level_are_found_once_and_without_withdrawn_ones(
    session: AsyncSession, database: Database
) -> None:
    first, second, third, withdrawn, beyond = await some_credentials(session, 5)
    steps = {first: [second], second: [third, withdrawn], third: [first], withdrawn: [beyond], beyond: []}
    for credential, prerequisites in steps.items():
        values = {"prerequisites": prerequisites, "active": credential != withdrawn}
        await session.execute(update(CredentialRow).where(CredentialRow.id == credential).values(**values))

    async with database.transaction() as uow:
        found = await uow.catalog.with_prerequisites([first, first])
        nothing = await uow.catalog.with_prerequisites([])

    assert found.keys() == {first, second, third}
    assert found[second].prerequisites == (third, withdrawn)
    assert nothing == {}


async def test_a_learner_has_an_assessment_and_a_role(database: Database, learner: Assessment) -> None:
    async with database.transaction() as uow:
        found = await uow.catalog.learner(learner.id)
        expected = (await uow.assessments.get(learner.id), await uow.catalog.role(learner.role_id))

    assert (found.assessment, found.role) == expected


async def test_an_unknown_assessment_has_no_learner(database: Database) -> None:
    async with database.transaction() as uow:
        with pytest.raises(NotFound):
            await uow.catalog.learner(uuid4())


async def test_credentials_that_a_learner_holds(session: AsyncSession, database: Database, learner: Assessment) -> None:
    held, _ = await some_credentials(session, 2)
    await session.execute(
        insert(LearnerCredentialRow).values(user_id=learner.user_id, credential_id=held, earned_at=date(2026, 1, 2))
    )

    found = await preferences(database, learner)

    assert found.held == {held}
    assert list(found.own) == [(str(held), 5)]


async def preferences(database: Database, learner: Assessment) -> Preferences:
    async with database.transaction() as uow:
        return (await uow.catalog.preferences([learner.user_id]))[learner.user_id]


async def newest_reactions(database: Database, learner: Assessment) -> Reactions:
    async with database.transaction() as uow:
        return await uow.catalog.newest_reactions(learner.organization_id)


async def test_the_learners_own_reactions_of_any_role_are_read_oldest_first(
    session: AsyncSession, database: Database, learner: Assessment
) -> None:
    one, other = await some_credentials(session, 2)
    await an_earlier_learner(
        session,
        learner.organization_id,
        [one, other],
        {"credential_id": other, "acceptance_status": "accepted"},
        {"credential_id": one, "relevance_score": 2},
        user_id=learner.user_id,
    )

    assert list((await preferences(database, learner)).own) == [(str(other), 5), (str(one), 2)]


async def test_reactions_of_others_are_read_by_learner_and_those_to_a_list_count_for_its_items(
    session: AsyncSession, database: Database, learner: Assessment
) -> None:
    one, other = credentials = sorted(await some_credentials(session, 2))
    user = await an_earlier_learner(
        session,
        learner.organization_id,
        credentials,
        {"relevance_score": 4},
        {"credential_id": other, "acceptance_status": "rejected", "relevance_score": 5},
    )

    found = await newest_reactions(database, learner)

    assert found == Reactions(learners=[str(user)] * 2, credentials=[str(one), str(other)], ratings=[4, 1])


async def test_preferences_of_several_learners_are_read_at_once(
    session: AsyncSession, database: Database, learner: Assessment
) -> None:
    first, second = await some_credentials(session, 2)
    for credential, day in ((second, 2), (first, 1)):
        held = {"credential_id": credential, "earned_at": date(2026, 1, day)}
        await session.execute(insert(LearnerCredentialRow).values(user_id=learner.user_id, **held))
    rated = {"relevance_score": 4}
    reacted = await an_earlier_learner(session, learner.organization_id, [first], rated)
    other = await a_user(session, learner.organization_id)

    async with database.transaction() as uow:
        found = await uow.catalog.preferences([learner.user_id, reacted, other])

    assert found == {
        learner.user_id: Preferences(held=frozenset((first, second)), own=((str(first), 5), (str(second), 5))),
        reacted: Preferences(own=((str(first), 4),)),
        other: Preferences(),
    }


async def test_a_held_credential_counts_more_than_the_reaction_to_it(
    session: AsyncSession, database: Database, learner: Assessment
) -> None:
    [credential] = await some_credentials(session, 1)
    rated = {"relevance_score": 1}
    await an_earlier_learner(session, learner.organization_id, [credential], rated, user_id=learner.user_id)
    held = {"credential_id": credential, "earned_at": date(2026, 1, 2)}
    await session.execute(insert(LearnerCredentialRow).values(user_id=learner.user_id, **held))

    assert (await preferences(database, learner)).own == ((str(credential), 5),)


async def test_only_the_newest_reactions_of_others_are_read(
    session: AsyncSession, database: Database, learner: Assessment, monkeypatch: pytest.MonkeyPatch
) -> None:
    credentials = await some_credentials(session, 1)
    for hours in (3, 1, 2):
        await an_earlier_learner(
            session, learner.organization_id, credentials, {"relevance_score": hours}, hours_ago=hours
        )
    monkeypatch.setattr(catalog, "MAX_REACTIONS", 2)

    assert sorted((await newest_reactions(database, learner)).ratings) == [1, 2]


async def test_reactions_to_a_whole_recommendation_count_for_its_items_and_named_ones_come_first(
    session: AsyncSession, database: Database, learner: Assessment
) -> None:
    accepted, rejected, other = credentials = await some_credentials(session, 3)
    await an_earlier_learner(
        session,
        learner.organization_id,
        credentials,
        {"credential_id": accepted, "acceptance_status": "accepted", "relevance_score": 3},
        {"credential_id": rejected, "acceptance_status": "rejected"},
        {"relevance_score": 4, "acceptance_status": "pending"},
    )

    found = await earlier(database, learner)
    assert found.scores == {"SQL querying": [0.4], "Data cleaning": [None]}
    assert await reactions(database, learner) == [{accepted: Decimal(5), rejected: Decimal(1), other: Decimal(4)}]


async def test_the_last_reaction_counts(session: AsyncSession, database: Database, learner: Assessment) -> None:
    credentials = await some_credentials(session, 1)
    await an_earlier_learner(
        session, learner.organization_id, credentials, {"relevance_score": 2}, {"relevance_score": 5}
    )

    assert await reactions(database, learner) == [{credentials[0]: Decimal(5)}]


async def test_only_learners_who_reacted_themselves_are_earlier_learners(
    session: AsyncSession, database: Database, learner: Assessment
) -> None:
    credentials = await some_credentials(session, 1)
    await an_earlier_learner(session, learner.organization_id, credentials)
    rated = {"relevance_score": 5}
    advisor = await a_user(session, learner.organization_id, role="advisor")
    await an_earlier_learner(session, learner.organization_id, credentials, rated | {"submitted_by": advisor})

    assert await earlier(database, learner) == EarlierLearners()


async def test_a_role_may_have_more_skills_than_a_function_has_arguments(
    session: AsyncSession, database: Database, learner: Assessment
) -> None:
    credentials = await some_credentials(session, 1)
    await an_earlier_learner(session, learner.organization_id, credentials, {"relevance_score": 3})

    async with database.transaction() as uow:
        skills = ["SQL querying", *(f"Skill {n}" for n in range(150))]
        found = await uow.catalog.earlier_learners(learner.organization_id, ROLE_ID, skills)
    assert len(found.scores) == 151
    assert found.scores["SQL querying"] == [0.4]


async def test_newest_first_and_each_learner_once(
    session: AsyncSession, database: Database, learner: Assessment
) -> None:
    credentials = await some_credentials(session, 1)
    place = learner.organization_id
    await an_earlier_learner(session, place, credentials, {"relevance_score": 3}, hours_ago=5)
    newer = await an_earlier_learner(session, place, credentials, {"relevance_score": 2}, hours_ago=9)
    await an_earlier_learner(session, place, credentials, {"relevance_score": 4}, hours_ago=2, user_id=newer)

    assert await reactions(database, learner) == [{credentials[0]: Decimal(4)}, {credentials[0]: Decimal(3)}]


async def test_other_organizations_count_only_when_configured(
    session: AsyncSession, session_factory: async_sessionmaker[AsyncSession], learner: Assessment
) -> None:
    credentials = await some_credentials(session, 1)
    await an_earlier_learner(session, await an_organization(session), credentials, {"relevance_score": 5})

    assert await earlier(RolledBackDatabase(session_factory), learner) == EarlierLearners()
    everywhere = RolledBackDatabase(session_factory, all_organizations=True)
    assert len((await earlier(everywhere, learner)).ids) == 1
    assert not (await newest_reactions(RolledBackDatabase(session_factory), learner)).learners
    assert len((await newest_reactions(everywhere, learner)).learners) == 1
