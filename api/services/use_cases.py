"""What services share: the transaction, and the refusal of what the caller may not see."""

from collections.abc import Awaitable
from typing import TypeVar, TypeVarTuple

from domain.assessments.lifecycle import Assessment
from domain.errors import Erased, NotFound
from persistence.queries.views import AccessScope
from persistence.request_database import RequestUnitOfWork

Found = TypeVar("Found")
Rest = TypeVarTuple("Rest")


def require(found: Found | None, message: str) -> Found:
    """Return what a query has found; raise NotFound with the message if it is None."""
    if found is None:
        raise NotFound(message)
    return found


class UseCases:
    """Use cases of one transaction. The caller commits and then notifies the workflow engine."""

    def __init__(self, uow: RequestUnitOfWork) -> None:
        self._uow = uow


async def lock_visible(lock: Awaitable[tuple[Assessment, *Rest]], scope: AccessScope) -> tuple[Assessment, *Rest]:
    """Await a lock on an assessment and return its result.

    Raises:
        NotFound: the assessment does not exist, its user is being erased, or it is outside the scope. All three look
            the same to the caller.
    """
    try:
        found = await lock
    except (NotFound, Erased):
        raise NotFound("No such assessment") from None
    if not scope.sees(found[0]):
        raise NotFound("No such assessment")
    return found
