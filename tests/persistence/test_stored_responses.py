"""Erasing a user replaces the stored responses that other users received about them, and reads no others."""

import json
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from persistence.repositories.erasure import SqlErasures
from persistence.repositories.idempotency import IdempotencyKeys, KeyedRequest, StoredResponse
from persistence.tables import IdempotencyKeyRow, UserRow
from tests.persistence.plans import explained, handled, nodes
from tests.support.appeals import an_appeal
from tests.support.builders import a_user, an_organization
from tests.support.statements import recorded

OTHERS = 300


async def store(session: AsyncSession, user_id: UUID, organization_id: UUID | None, body: object) -> str:
    """Store a response to a request of the user and return its key."""
    request = KeyedRequest(
        organization_id=organization_id,
        user_id=user_id,
        method="POST",
        route="/api/v1/users",
        key=str(uuid4()),
        request_hashes={"k": "h"},
    )
    response = StoredResponse(status=201, body=json.dumps(body).encode())
    await IdempotencyKeys(session).store(request, response)
    return request.key


async def status_of(session: AsyncSession, key: str) -> int | None:
    return await session.scalar(select(IdempotencyKeyRow.response_status).where(IdempotencyKeyRow.key == key))


@pytest.mark.parametrize("platform", [False, True], ids=["admin", "platform admin"])
async def test_a_response_that_names_the_user_by_id_is_replaced(session: AsyncSession, *, platform: bool) -> None:
    organization_id = await an_organization(session)
    own = None if platform else organization_id
    caller = await a_user(session, organization_id, role="admin")
    await session.execute(update(UserRow).where(UserRow.id == caller).values(organization_id=own))
    erased, other = [await a_user(session, organization_id) for _ in range(2)]
    about = [await store(session, caller, own, {"user": {"user_id": str(each)}}) for each in (erased, other)]

    await SqlErasures(session).forget_account(erased)

    assert [await status_of(session, key) for key in about] == [410, 201]


async def test_a_response_of_an_earlier_release_is_replaced(session: AsyncSession) -> None:
    organization_id = await an_organization(session)
    admin = await a_user(session, organization_id, role="admin")
    erased = await a_user(session, organization_id)
    key = await store(session, admin, organization_id, {"user_id": str(erased)})
    await session.execute(update(IdempotencyKeyRow).values(named_ids=None))

    await SqlErasures(session).forget_account(erased)

    assert await status_of(session, key) == 410


async def test_the_reason_of_an_appeal_is_replaced_although_a_blind_response_does_not_name_the_student(
    session: AsyncSession,
) -> None:
    appeal = await an_appeal(session)
    advisor = await a_user(session, appeal.organization_id, role="advisor")
    body = {"appeal_id": str(appeal.id), "reason": "I answered more than that"}
    key = await store(session, advisor, appeal.organization_id, body)

    await SqlErasures(session).forget_assessments([appeal.assessment_id])

    assert await status_of(session, key) == 410


async def test_responses_about_other_users_are_not_read(clean_engine: AsyncEngine) -> None:
    async with AsyncSession(clean_engine) as session:
        organization_id = await an_organization(session)
        admin = await a_user(session, organization_id, role="admin")
        erased = await a_user(session, organization_id)
        for each in [erased, *(uuid4() for _ in range(OTHERS))]:
            await store(session, admin, organization_id, {"user_id": str(each)})
        await session.commit()
        await session.execute(text("ANALYZE idempotency_keys"))
        with recorded(clean_engine) as sent:
            await SqlErasures(session).forget_account(erased)
        await session.rollback()
    statements = [each for each in sent if "idempotency_keys" in each[0]]

    plans = [await explained(clean_engine, *each, large=True) for each in statements]

    read = [handled(each) for plan in plans for each in nodes(plan) if each["Node Type"].endswith("Scan")]
    assert 1 <= sum(read) <= 10
