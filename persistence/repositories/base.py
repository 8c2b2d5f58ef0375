"""The base class of repositories."""

from sqlalchemy.ext.asyncio import AsyncSession


class Repository:
    """Statements in the caller's transaction."""

    def __init__(self, session: AsyncSession) -> None:
        self._session = session
