"""Loading content is idempotent, versioned and atomic, and it withdraws what the files no longer have."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from domain.errors import InvalidInput
from domain.ids import derived_id
from persistence.content.loader import load_content
from persistence.database import create_engine
from persistence.tables import ContentVersionRow, CredentialRow, QuestionRow, RoleRow
from tests.support.databases import CONTENT, settings_of


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A copy of the project's content, which is already loaded in the database."""
    return Path(shutil.copytree(CONTENT, tmp_path / "content"))


@pytest.fixture
async def loaded(clean_database: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(settings_of(clean_database))
    yield engine
    await engine.dispose()


def edit(path: Path, old: str, new: str) -> None:
    content = path.read_text(encoding="utf-8")
    assert old in content
    path.write_text(content.replace(old, new, 1), encoding="utf-8")


async def versions(engine: AsyncEngine) -> int:
    async with AsyncSession(engine) as session:
        return int(await session.scalar(select(func.count()).select_from(ContentVersionRow)) or 0)


async def test_loading_the_same_content_again_writes_nothing(loaded: AsyncEngine, directory: Path) -> None:
    before = await versions(loaded)

    report = await load_content(loaded, directory)

    assert [(c.added, c.changed, c.withdrawn) for c in (report.roles, report.questions, report.credentials)] == [
        (0, 0, 0)
    ] * 3
    assert await versions(loaded) == before


async def test_a_changed_entry_becomes_current_and_its_old_version_is_kept(
    loaded: AsyncEngine, directory: Path
) -> None:
    edit(directory / "questions" / "data-analyst.yaml", 'weight: "1"', 'weight: "3"')
    before = await versions(loaded)

    report = await load_content(loaded, directory)

    assert (report.questions.added, report.questions.changed) == (0, 1)
    assert await versions(loaded) == before + 1
    async with AsyncSession(loaded) as session:
        weight = await session.scalar(select(QuestionRow.weight).where(QuestionRow.key == "da-left-join"))
    assert weight == 3


async def test_a_roles_rules_for_attempts_are_loaded_and_reset(loaded: AsyncEngine, directory: Path) -> None:
    edit(directory / "roles.yaml", "key: data-analyst", "key: data-analyst\n    reveal: never\n    attempts: 2")
    policy = select(RoleRow.reveal, RoleRow.attempts, RoleRow.cool_down_hours).where(RoleRow.key == "data-analyst")

    report = await load_content(loaded, directory)
    async with AsyncSession(loaded) as session:
        limited = tuple((await session.execute(policy)).one())
    await load_content(loaded, CONTENT)
    async with AsyncSession(loaded) as session:
        default = tuple((await session.execute(policy)).one())

    assert report.roles.changed == 1
    assert (limited, default) == (("never", 2, 0), ("always", None, 0))


async def test_going_back_to_an_earlier_version_adds_none(loaded: AsyncEngine, directory: Path) -> None:
    edit(directory / "questions" / "data-analyst.yaml", 'weight: "1"', 'weight: "3"')
    await load_content(loaded, directory)
    before = await versions(loaded)

    report = await load_content(loaded, CONTENT)

    assert report.questions.changed == 1
    assert await versions(loaded) == before


async def test_an_entry_removed_from_the_files_is_withdrawn_and_can_return(
    loaded: AsyncEngine, directory: Path
) -> None:
    (directory / "questions" / "data-analyst.yaml").unlink()

    gone = await load_content(loaded, directory)
    back = await load_content(loaded, CONTENT)

    assert gone.questions.withdrawn == back.questions.changed > 0
    async with AsyncSession(loaded) as session:
        assert await session.scalar(select(func.bool_and(QuestionRow.active))) is True


async def test_loading_does_not_withdraw_imported_credentials(loaded: AsyncEngine, directory: Path) -> None:
    async with AsyncSession(loaded) as session:
        own = await session.scalar(select(CredentialRow.id).limit(1))
        await session.execute(update(CredentialRow).where(CredentialRow.id == own).values(details=None))
        await session.commit()
    edit(directory / "credentials.yaml", "hours: ", "hours: 1")

    report = await load_content(loaded, directory)

    assert report.credentials.withdrawn == 0


async def test_a_bad_file_changes_nothing(loaded: AsyncEngine, directory: Path) -> None:
    edit(directory / "roles.yaml", "name: Data analyst", "name: Analyst of data")
    edit(directory / "credentials.yaml", "level: foundation", "level: unheard-of")
    before = await versions(loaded)

    with pytest.raises(InvalidInput):
        await load_content(loaded, directory)

    assert await versions(loaded) == before


async def test_a_moved_question_changes_its_place_but_makes_no_version(loaded: AsyncEngine) -> None:
    before = await versions(loaded)
    async with AsyncSession(loaded) as session:
        moved = update(QuestionRow).where(QuestionRow.id == derived_id("question", "da-left-join")).values(position=99)
        await session.execute(moved)
        await session.commit()

    report = await load_content(loaded, CONTENT)

    assert report.questions.changed == 1
    assert await versions(loaded) == before
