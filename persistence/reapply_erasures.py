"""`python -m persistence.reapply_erasures`, after the database was restored: forgets again whom the dump remembers.

Marks everybody on the erasure list as being erased, so that from then on nothing is written about them; reconciliation
starts their `UserErasureWorkflow`. Run it before the API and the workers are started. May be repeated.
"""

import asyncio
import sys
from collections.abc import Iterable
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from persistence.database import DatabaseSettings, create_engine
from persistence.erasure_list import ErasureListSettings, FileErasureList
from persistence.repositories import audit
from persistence.repositories.erasure import SqlErasures
from persistence.unit_of_work import sessions


async def reapply(engine: AsyncEngine, erased: Iterable[UUID]) -> int:
    """Returns how many of them the database remembers."""
    remembered = 0
    for user_id in erased:
        async with sessions(engine)() as session:
            remembered += await SqlErasures(session).mark(user_id, actor_id=None, actor_role=audit.SYSTEM)
            await session.commit()
    return remembered


async def main() -> None:
    engine = create_engine(DatabaseSettings())
    try:
        remembered = await reapply(engine, FileErasureList(ErasureListSettings().erasure_list).read())
    finally:
        await engine.dispose()
    sys.stdout.write(f"{remembered} people of the erasure list are being erased again\n")


if __name__ == "__main__":
    asyncio.run(main())
