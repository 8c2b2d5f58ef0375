"""The audit trail is append-only, and its seal reveals a change that was made in spite of that."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import make_url, select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from persistence.audit_seal import GENESIS, Seal, SqlAuditTrail, report, verify
from persistence.database import create_engine
from persistence.queries.views import Actor
from persistence.repositories import audit
from persistence.tables import AuditLogRow
from persistence.unit_of_work import sessions
from tests.support.databases import Databases, settings_of

ROWS = 5


@pytest.fixture
async def trail(clean_database: str) -> AsyncIterator[AsyncEngine]:
    """A separate database with some rows that are not sealed yet."""
    engine = create_engine(settings_of(clean_database))
    async with sessions(engine)() as session:
        await note(session, ROWS)
        await session.commit()
    yield engine
    await engine.dispose()


async def note(session: AsyncSession, number: int = 1) -> None:
    for place in range(number):
        actor = Actor(id=uuid4(), role="admin")
        await audit.record(session, actor, "test.act", "test", uuid4(), None, place=place)


async def seal(engine: AsyncEngine, limit: int = 100) -> int:
    async with sessions(engine)() as session:
        sealed = await SqlAuditTrail(session).seal(limit=limit)
        await session.commit()
    return sealed


async def tamper(engine: AsyncEngine, statement: str) -> None:
    """Change rows as the owner of the database can."""
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE audit_logs DISABLE TRIGGER USER"))
        await connection.execute(text(statement))
        await connection.execute(text("ALTER TABLE audit_logs ENABLE TRIGGER USER"))


async def test_batches_make_one_chain(trail: AsyncEngine) -> None:
    assert await verify(trail) == Seal(0, GENESIS, unsealed=ROWS)

    assert [await seal(trail, limit=2) for _ in range(4)] == [2, 2, 1, 0]

    found = await verify(trail)
    assert (found.rows, found.holds, found.unsealed) == (ROWS, True, 0)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_logs SET action = 'test.other' WHERE position = 3",
        "UPDATE audit_logs SET metadata = '{}' WHERE position = 3",
        "UPDATE audit_logs SET actor_id = NULL WHERE position = 3",
        "UPDATE audit_logs SET created_at = created_at - interval '1 microsecond' WHERE position = 3",
        "UPDATE audit_logs SET hash = repeat('0', 64) WHERE position = 3",
        "DELETE FROM audit_logs WHERE position = 3",
        "UPDATE audit_logs SET position = CASE position WHEN 3 THEN 14 ELSE position END",
    ],
)
async def test_the_first_broken_link_is_found(trail: AsyncEngine, change: str) -> None:
    await seal(trail)

    await tamper(trail, change)

    assert (await verify(trail)).broken_at == 3


async def test_a_row_that_commits_late_is_linked_by_the_next_batch(trail: AsyncEngine) -> None:
    """The transaction takes its number first and commits last."""
    async with sessions(trail)() as late:
        await note(late)
        async with sessions(trail)() as early:
            await note(early)
            await early.commit()
        assert await seal(trail) == ROWS + 1
        await late.commit()

    assert await seal(trail) == 1
    found = await verify(trail)
    assert (found.rows, found.broken_at) == (ROWS + 2, None)


async def test_a_number_of_a_rolled_back_transaction_does_not_break_the_chain(trail: AsyncEngine) -> None:
    async with sessions(trail)() as session:
        await note(session)
        await session.rollback()
    async with sessions(trail)() as session:
        await note(session)
        await session.commit()

    await seal(trail)

    assert (await verify(trail)).rows == ROWS + 1


async def test_the_session_zone_and_style_of_dates_do_not_change_a_link(trail: AsyncEngine) -> None:
    await seal(trail)
    async with trail.begin() as connection:
        name = (await connection.execute(text("SELECT current_database()"))).scalar_one()
        for setting in ("timezone = 'Asia/Kolkata'", "datestyle = 'SQL, DMY'"):
            await connection.execute(text(f'ALTER DATABASE "{name}" SET {setting}'))
    await trail.dispose()

    assert (await verify(trail)).broken_at is None


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_logs SET action = 'test.other'",
        "UPDATE audit_logs SET action = 'test.other', hash = repeat('0', 64), position = seq",
        "UPDATE audit_logs SET hash = NULL, position = NULL WHERE hash IS NOT NULL",
        "UPDATE audit_logs SET hash = repeat('1', 64) WHERE hash IS NOT NULL",
        "DELETE FROM audit_logs",
        "TRUNCATE audit_logs",
    ],
)
async def test_a_row_can_be_added_and_sealed_and_nothing_else(trail: AsyncEngine, change: str) -> None:
    await seal(trail, limit=2)
    async with trail.connect() as connection:
        with pytest.raises(ProgrammingError, match="append-only"):
            await connection.execute(text(change))


async def test_sealing_twice_at_once_links_each_row_once(trail: AsyncEngine) -> None:
    async with sessions(trail)() as first:
        await SqlAuditTrail(first).seal(limit=3)
        await first.commit()
    await seal(trail)

    async with sessions(trail)() as session:
        positions = list(await session.scalars(select(AuditLogRow.position).order_by(AuditLogRow.seq)))
    assert positions == list(range(1, ROWS + 1))


FORGED = """
INSERT INTO audit_logs (id, seq, action, resource_type, hash, position, created_at) OVERRIDING SYSTEM VALUE
SELECT gen_random_uuid(), -1, 'test.forged', 'test', repeat('0', 64), :position, '2020-01-01'
"""


@pytest.mark.parametrize("position", [-(2**63), 0, 1, 2**63 - 1])
async def test_the_database_sets_the_time_of_a_new_row_and_clears_its_seal(trail: AsyncEngine, position: int) -> None:
    """This also applies to the owner of the table."""
    async with trail.begin() as connection:
        await connection.execute(text(FORGED), {"position": position})
        row = "SELECT hash, position, created_at > now() - interval '1 hour' FROM audit_logs WHERE seq = -1"
        written = (await connection.execute(text(row))).one()

    assert tuple(written) == (None, None, True)
    assert await seal(trail) == ROWS + 1
    assert (await verify(trail)).holds


@pytest.mark.parametrize("position", [-(2**63), 0, 2**63 - 1])
async def test_earlier_forged_rows_are_counted_and_do_not_stop_the_seal(trail: AsyncEngine, position: int) -> None:
    """Before migration 0010, the role of the API and the workers could insert such rows."""
    await seal(trail, limit=2)
    async with trail.begin() as connection:
        for name in ("position", "hash"):
            await connection.execute(text(f"ALTER TABLE audit_logs DROP CONSTRAINT audit_logs_{name}_check"))
        await connection.execute(text("ALTER TABLE audit_logs DISABLE TRIGGER USER"))
        await connection.execute(text(FORGED), {"position": position})
        await connection.execute(text("ALTER TABLE audit_logs ENABLE TRIGGER USER"))

    assert await seal(trail) == ROWS - 2

    found = await verify(trail)
    assert (found.rows, found.broken_at, found.outsiders, found.holds) == (ROWS, None, 1, False)
    assert "OUTSIDE the chain: 1 rows" in report(found)[1]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit_logs SET hash = repeat('0', 64), position = 9223372036854775807 WHERE seq = 3",
        "UPDATE audit_logs SET hash = repeat('0', 64), position = 3 WHERE seq = 3",
        "UPDATE audit_logs SET hash = repeat('0', 64), position = 0 WHERE seq = 3",
        "UPDATE audit_logs SET hash = repeat('0', 64), position = -1 WHERE seq = 3",
        "UPDATE audit_logs SET hash = 'x', position = 3 WHERE seq = 3",
    ],
)
async def test_a_seal_that_does_not_continue_the_chain_is_refused(trail: AsyncEngine, change: str) -> None:
    await seal(trail, limit=2)
    async with trail.connect() as connection:
        with pytest.raises((ProgrammingError, IntegrityError), match=r"append-only|_check"):
            await connection.execute(text(change))

    assert await seal(trail) == ROWS - 2
    assert (await verify(trail)).holds


@pytest.fixture
def alone(databases: Databases) -> Iterator[None]:
    with databases.alone():
        yield


@pytest.fixture
async def app(alone: None, clean_database: str, trail: AsyncEngine) -> AsyncIterator[AsyncEngine]:  # noqa: ARG001  # a role
    """The same database with the role of the API and the workers, which the documented script creates."""
    await trail.dispose()
    script = (Path(__file__).parents[2] / "deploy" / "postgres" / "app_role.sql").read_text(encoding="utf-8")
    with psycopg.connect(clean_database.replace("+psycopg", ""), autocommit=True) as owner:
        owner.execute(script.encode())
        owner.execute("ALTER ROLE microcred_app PASSWORD 'a-password'")
    url = make_url(clean_database).set(username="microcred_app", password="a-password")
    engine = create_engine(settings_of(url.render_as_string(hide_password=False)))
    yield engine
    await engine.dispose()
    with psycopg.connect(clean_database.replace("+psycopg", ""), autocommit=True) as owner:
        owner.execute("DROP OWNED BY microcred_app")


async def test_the_role_of_the_app_adds_and_seals(app: AsyncEngine) -> None:
    async with sessions(app)() as session:
        await note(session)
        await session.commit()

    assert await seal(app) == ROWS + 1
    assert (await verify(app)).holds


@pytest.mark.parametrize(
    "change",
    [
        "INSERT INTO audit_logs (id, action, resource_type, position) VALUES (gen_random_uuid(), 'x', 'x', 0)",
        "INSERT INTO audit_logs (id, action, resource_type, hash) VALUES (gen_random_uuid(), 'x', 'x', 'x')",
        "INSERT INTO audit_logs (id, action, resource_type, created_at) VALUES (gen_random_uuid(), 'x', 'x', now())",
        "INSERT INTO audit_logs (id, seq, action, resource_type) OVERRIDING SYSTEM VALUE VALUES (NULL, 1, 'x', 'x')",
        "SELECT setval(pg_get_serial_sequence('audit_logs', 'seq'), 9223372036854775807)",
        "CREATE TEMPORARY TABLE audit_logs (id uuid)",
        "UPDATE audit_logs SET action = 'test.other'",
        "DELETE FROM audit_logs",
        "TRUNCATE audit_logs",
        "ALTER TABLE audit_logs DISABLE TRIGGER USER",
    ],
)
async def test_the_role_of_the_app_cannot_change_the_trail_otherwise(app: AsyncEngine, change: str) -> None:
    async with app.connect() as connection:
        with pytest.raises(ProgrammingError, match=r"permission denied|must be owner"):
            await connection.execute(text(change))
