"""The base class of services."""

from persistence.request_database import RequestUnitOfWork


class UseCases:
    """Use cases of one transaction. The caller commits and then notifies the workflow engine."""

    def __init__(self, uow: RequestUnitOfWork) -> None:
        self._uow = uow
