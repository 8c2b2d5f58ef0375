"""A unit of work: one transaction over all repositories."""

from collections.abc import Callable
from functools import cached_property
from types import TracebackType
from typing import Self, TypeVar

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from persistence.audit_seal import SqlAuditTrail
from persistence.content.catalog_import import SqlCatalogImports
from persistence.database import in_autocommit, storage_failure
from persistence.repositories.appeals import SqlAppeals
from persistence.repositories.assessments import SqlAssessments
from persistence.repositories.catalog import SqlCatalog
from persistence.repositories.degraded_results import SqlDegradedResults
from persistence.repositories.deliveries import SqlDeliveries
from persistence.repositories.erasure import SqlErasures
from persistence.repositories.fingerprints import SqlFingerprints
from persistence.repositories.grading_examples import SqlGradingExamples
from persistence.repositories.jobs import SqlJobs
from persistence.repositories.link_mails import SqlLinkMails
from persistence.repositories.model_answers import SqlModelAnswers
from persistence.repositories.organizations import SqlOrganizations
from persistence.repositories.rescores import SqlRescores
from persistence.repositories.results import SqlResults
from persistence.repositories.retention import SqlRetention
from persistence.repositories.review_queue import SqlReviewQueue
from persistence.repositories.reviewed_levels import SqlReviewedLevels
from persistence.repositories.reviews import SqlReviews
from persistence.repositories.sweeps import SqlSweeps

Repository = TypeVar("Repository")


def repository(kind: Callable[[AsyncSession], Repository]) -> cached_property[Repository]:
    """Declare a repository of a unit of work. It is created at its first use."""
    return cached_property(lambda uow: kind(uow._session))  # noqa: SLF001  # the unit's own session


class SqlUnitOfWork:
    """Run one transaction, opened with `async with`; what is not committed is rolled back.

    A connection is taken from the pool at the first statement.

    Raises:
        StorageUnavailable: the database is unreachable or overloaded. It replaces the driver's error.
    """

    assessments = repository(SqlAssessments)
    jobs = repository(SqlJobs)
    model_answers = repository(SqlModelAnswers)
    grading_examples = repository(SqlGradingExamples)
    fingerprints = repository(SqlFingerprints)
    reviews = repository(SqlReviews)
    reviewed_levels = repository(SqlReviewedLevels)
    appeals = repository(SqlAppeals)
    review_queue = repository(SqlReviewQueue)
    catalog_imports = repository(SqlCatalogImports)
    results = repository(SqlResults)
    degraded_results = repository(SqlDegradedResults)
    deliveries = repository(SqlDeliveries)
    erasures = repository(SqlErasures)
    audit = repository(SqlAuditTrail)
    organizations = repository(SqlOrganizations)
    retention = repository(SqlRetention)
    sweeps = repository(SqlSweeps)
    link_mails = repository(SqlLinkMails)
    rescores = repository(SqlRescores)

    def __init__(self, sessions: async_sessionmaker[AsyncSession], *, all_organizations: bool = False) -> None:
        self._session = sessions()
        self._all_organizations = all_organizations

    @cached_property
    def catalog(self) -> SqlCatalog:
        return SqlCatalog(self._session, all_organizations=self._all_organizations)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.__aexit__(kind, error, trace)
        if failure := storage_failure(error):
            raise failure from None

    async def commit(self) -> None:
        await self._session.commit()


def sessions(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """Create the session factory. Sessions only run statements and track no objects: no flush, no expiry."""
    return async_sessionmaker(engine, autoflush=False, expire_on_commit=False)


class SqlDatabase:
    """The port `Database` on an engine. `all_organizations`: reads of earlier learners cross organizations."""

    def __init__(self, engine: AsyncEngine, *, all_organizations: bool = False) -> None:
        self._transactions = sessions(engine)
        self._statements = sessions(in_autocommit(engine))
        self._all_organizations = all_organizations

    def transaction(self) -> SqlUnitOfWork:
        return SqlUnitOfWork(self._transactions, all_organizations=self._all_organizations)

    def statement(self) -> SqlUnitOfWork:
        return SqlUnitOfWork(self._statements, all_organizations=self._all_organizations)
