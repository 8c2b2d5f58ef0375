"""Sessions with concurrent connections."""

from datetime import timedelta
from uuid import uuid4

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from persistence.queries.views import Holder
from persistence.repositories.refresh_tokens import RefreshTokens
from persistence.tables import UserRow
from tests.support.builders import a_user


async def test_a_login_does_not_wait_for_writes_about_the_user(clean_engine: AsyncEngine) -> None:
    async with AsyncSession(clean_engine) as writing, AsyncSession(clean_engine) as logging_in:
        user_id = await a_user(writing)
        await writing.commit()
        await writing.execute(select(UserRow.id).where(UserRow.id == user_id).with_for_update(read=True))
        await logging_in.execute(text("SET LOCAL lock_timeout = '1s'"))
        holder = Holder(user_id=user_id, role="student", organization_id=uuid4(), token_version=0)

        token = await RefreshTokens(logging_in).start(holder, timedelta(days=1))

    assert token
