"""The list of erased users, and its use after a restore."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from domain.ids import derived_id
from persistence.database import create_engine
from persistence.erasure_list import FileErasureList
from persistence.reapply_erasures import reapply
from persistence.repositories.accounts import NewAccount, ensure_accounts
from persistence.tables import UserRow
from persistence.unit_of_work import SqlDatabase, sessions
from tests.support.builders import a_user
from tests.support.databases import settings_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "beside the dumps" / "erasures"


async def test_each_user_is_listed_once_in_the_order_of_erasure(path: Path) -> None:
    first, second = uuid4(), uuid4()
    for user_id in (first, second, first):
        await FileErasureList(path).add(user_id)

    assert FileErasureList(path).read() == [first, second]


def test_a_missing_file_is_an_empty_list(path: Path) -> None:
    assert FileErasureList(path).read() == []


@pytest.mark.parametrize("line", ["３f0c8a52-9d55-4b5e-8a53-6f0f5a4bb3a1", "ada@example.org"], ids=ascii)
def test_an_invalid_line_is_an_error(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"ascii|UUID"):
        FileErasureList(path).read()


def test_only_the_owner_can_read_the_file(path: Path) -> None:
    asyncio.run(FileErasureList(path).add(uuid4()))

    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_line_that_was_half_written_is_replaced(path: Path) -> None:
    first, second = uuid4(), uuid4()
    await FileErasureList(path).add(first)
    with path.open("a", encoding="ascii") as file:
        file.write(str(second)[:20])

    await FileErasureList(path).add(second)

    assert FileErasureList(path).read() == [first, second]


async def test_a_half_written_line_does_not_prevent_the_erasures_before_it(path: Path) -> None:
    first = uuid4()
    await FileErasureList(path).add(first)
    with path.open("a", encoding="ascii") as file:
        file.write(str(uuid4())[:20])

    with capture_logs() as logs:
        assert FileErasureList(path).read() == [first]

    assert [each["event"] for each in logs] == ["erasure_list_incomplete"]


def test_concurrent_writes_lose_no_id(path: Path) -> None:
    people = {uuid4() for _ in range(40)}
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(FileErasureList(path)._add, people))

    assert sorted(FileErasureList(path).read()) == sorted(people)


@pytest.fixture
async def restored(clean_database: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(settings_of(clean_database))
    yield engine
    await engine.dispose()


async def test_restored_users_are_marked_for_erasure_again(restored: AsyncEngine) -> None:
    async with sessions(restored)() as session:
        remembered, begun, gone, somebody = [
            await a_user(session, status=status) for status in ("active", "erasing", "erased", "active")
        ]
        await session.commit()

    assert await reapply(restored, [remembered, begun, gone, uuid4()]) == 1

    assert await statuses(restored) == {remembered: "erasing", begun: "erasing", gone: "erased", somebody: "active"}


async def statuses(engine: AsyncEngine) -> dict[UUID, str]:
    async with sessions(engine)() as session:
        return {row.id: row.status for row in await session.execute(select(UserRow.id, UserRow.status))}


async def test_an_erased_demo_account_is_not_created_again(restored: AsyncEngine) -> None:
    account = NewAccount(email="student@demo.example", password_hash="secret", role="student")
    await ensure_accounts(restored, "demo", "Demo", [account])
    user_id = derived_id("user", account.email)
    async with SqlDatabase(restored).transaction() as uow:
        await uow.erasures.begin(user_id, organization_id=None, actor_id=user_id, actor_role="student")
        await uow.erasures.forget_account(user_id)
        await uow.erasures.finish(user_id)
        await uow.commit()

    await ensure_accounts(restored, "demo", "Demo", [account])

    assert await statuses(restored) == {user_id: "erased"}
