"""What services share: the transaction, and the refusal of what the caller may not see."""

from collections.abc import Awaitable, Iterable
from typing import TypeVar, TypeVarTuple
from uuid import UUID

from domain.assessments.lifecycle import Assessment
from domain.assessments.questions import Item
from domain.errors import Erased, NotFound
from persistence.queries.views import AccessScope
from persistence.request_database import RequestUnitOfWork

Found = TypeVar("Found")
Rest = TypeVarTuple("Rest")


def require(found: Found | None, message: str) -> Found:
    """Return the result of a query. Raise NotFound with the message if the result is empty."""
    if found is None:
        raise NotFound(message)
    return found


def item_of(items: Iterable[Item], question_id: UUID) -> Item:
    """Return the item of a question; raise NotFound for an unknown question."""
    return require(next((item for item in items if item.question.id == question_id), None), "No such question")


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
