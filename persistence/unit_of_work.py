"""A unit of work: one transaction over all repositories."""

from functools import cached_property
from types import TracebackType
from typing import Self

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from domain.account_links import LinkMails
from domain.appeals import Appeals
from domain.assessments.ports import Assessments, Jobs, Results
from domain.grading.copies import Fingerprints
from domain.grading.examples import GradingExamples
from domain.grading.ports import ModelAnswers, Reviews
from domain.grading.review_queue import ReviewQueue
from domain.healing import DegradedResults
from domain.privacy import AuditTrail, Erasures, Retention
from domain.recommending.ports import Catalog, CatalogImports
from domain.rescores.ports import Rescores
from domain.sweeps import Sweeps
from domain.webhooks.ports import Deliveries
from persistence.audit_seal import SqlAuditTrail
from persistence.content.catalog_import import SqlCatalogImports
from persistence.database_errors import storage_failure
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
from persistence.repositories.reviews import SqlReviews
from persistence.repositories.sweeps import SqlSweeps


class SqlUnitOfWork:
    """Run one transaction, opened with `async with`; what is not committed is rolled back.

    A connection is taken from the pool at the first statement.

    Raises:
        StorageUnavailable: the database is unreachable or overloaded. It replaces the driver's error.
    """

    def __init__(self, sessions: async_sessionmaker[AsyncSession], *, all_organizations: bool = False) -> None:
        self._session = sessions()
        self._all_organizations = all_organizations

    @cached_property
    def assessments(self) -> Assessments:
        return SqlAssessments(self._session)

    @cached_property
    def jobs(self) -> Jobs:
        return SqlJobs(self._session)

    @cached_property
    def model_answers(self) -> ModelAnswers:
        return SqlModelAnswers(self._session)

    @cached_property
    def grading_examples(self) -> GradingExamples:
        return SqlGradingExamples(self._session)

    @cached_property
    def fingerprints(self) -> Fingerprints:
        return SqlFingerprints(self._session)

    @cached_property
    def reviews(self) -> Reviews:
        return SqlReviews(self._session)

    @cached_property
    def appeals(self) -> Appeals:
        return SqlAppeals(self._session)

    @cached_property
    def review_queue(self) -> ReviewQueue:
        return SqlReviewQueue(self._session)

    @cached_property
    def catalog(self) -> Catalog:
        return SqlCatalog(self._session, all_organizations=self._all_organizations)

    @cached_property
    def catalog_imports(self) -> CatalogImports:
        return SqlCatalogImports(self._session)

    @cached_property
    def results(self) -> Results:
        return SqlResults(self._session)

    @cached_property
    def degraded_results(self) -> DegradedResults:
        return SqlDegradedResults(self._session)

    @cached_property
    def deliveries(self) -> Deliveries:
        return SqlDeliveries(self._session)

    @cached_property
    def erasures(self) -> Erasures:
        return SqlErasures(self._session)

    @cached_property
    def audit(self) -> AuditTrail:
        return SqlAuditTrail(self._session)

    @cached_property
    def organizations(self) -> SqlOrganizations:
        return SqlOrganizations(self._session)

    @cached_property
    def retention(self) -> Retention:
        return SqlRetention(self._session)

    @cached_property
    def sweeps(self) -> Sweeps:
        return SqlSweeps(self._session)

    @cached_property
    def link_mails(self) -> LinkMails:
        return SqlLinkMails(self._session)

    @cached_property
    def rescores(self) -> Rescores:
        return SqlRescores(self._session)

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
        self._statements = sessions(engine.execution_options(isolation_level="AUTOCOMMIT"))
        self._all_organizations = all_organizations

    def transaction(self) -> SqlUnitOfWork:
        return SqlUnitOfWork(self._transactions, all_organizations=self._all_organizations)

    def statement(self) -> SqlUnitOfWork:
        return SqlUnitOfWork(self._statements, all_organizations=self._all_organizations)
