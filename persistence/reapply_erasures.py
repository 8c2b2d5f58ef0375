"""`python -m persistence.reapply_erasures`: erase the listed users again after a restore of the database.

Marks every user of the erasure list as being erased; from then on, every write about them is refused. Reconciliation
starts their `UserErasureWorkflow`. Run it before the API and the workers start. It is idempotent.
"""

import asyncio
import sys
from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from persistence.database import DatabaseSettings, create_engine
from persistence.erasure_list import ErasureListSettings, FileErasureList
from persistence.repositories.erasure import SqlErasures
from persistence.unit_of_work import sessions


async def reapply(engine: AsyncEngine, erased: Iterable[UUID]) -> int:
    """Mark the users as being erased. Return how many of them were still in the database."""
    remembered = 0
    for user_id in erased:
        async with sessions(engine)() as session:
            remembered += await SqlErasures(session).mark(user_id)
            await session.commit()
    return remembered


async def main() -> None:
    engine = create_engine(DatabaseSettings())
    try:
        remembered = await reapply(engine, FileErasureList(ErasureListSettings().erasure_list).read())
    finally:
        await engine.dispose()
    sys.stdout.write(
        f"{remembered} users of the erasure list were in the database and are marked for erasure."
        " Start the API and the workers now: reconciliation erases them\n"
    )


if __name__ == "__main__":
    asyncio.run(main())
