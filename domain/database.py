"""The database as activities use it: a transaction or a single statement over all repositories."""

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from domain.account_links import LinkMails
from domain.appeals import Appeals
from domain.assessments.ports import Assessments, Jobs, Results
from domain.grading.copies import Fingerprints
from domain.grading.examples import GradingExamples
from domain.grading.ports import ModelAnswers, ReviewedLevels, Reviews
from domain.grading.review_queue import ReviewQueue
from domain.healing import DegradedResults
from domain.organizations import Organizations
from domain.privacy import AuditTrail, Erasures, Retention
from domain.recommending.ports import Catalog, CatalogImports
from domain.rescores.ports import Rescores
from domain.sweeps import Sweeps
from domain.webhooks.ports import Deliveries


class Repositories(Protocol):
    """Everything that can be read and written in the database."""

    @property
    def assessments(self) -> Assessments: ...

    @property
    def jobs(self) -> Jobs: ...

    @property
    def model_answers(self) -> ModelAnswers: ...

    @property
    def grading_examples(self) -> GradingExamples: ...

    @property
    def fingerprints(self) -> Fingerprints: ...

    @property
    def reviews(self) -> Reviews: ...

    @property
    def reviewed_levels(self) -> ReviewedLevels: ...

    @property
    def appeals(self) -> Appeals: ...

    @property
    def review_queue(self) -> ReviewQueue: ...

    @property
    def catalog(self) -> Catalog: ...

    @property
    def catalog_imports(self) -> CatalogImports: ...

    @property
    def results(self) -> Results: ...

    @property
    def degraded_results(self) -> DegradedResults: ...

    @property
    def deliveries(self) -> Deliveries: ...

    @property
    def erasures(self) -> Erasures: ...

    @property
    def audit(self) -> AuditTrail: ...

    @property
    def organizations(self) -> Organizations: ...

    @property
    def retention(self) -> Retention: ...

    @property
    def sweeps(self) -> Sweeps: ...

    @property
    def link_mails(self) -> LinkMails: ...

    @property
    def rescores(self) -> Rescores: ...


class UnitOfWork(Repositories, Protocol):
    """A transaction. It is rolled back unless `commit` is called."""

    async def commit(self) -> None: ...


class Database(Protocol):
    """A factory of database connections. Never hold one open across a network call.

    Raises:
        StorageUnavailable: the database is unreachable or overloaded. It replaces the driver's error.
    """

    def transaction(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """Open a transaction. Leaving the block without `commit` rolls everything back."""
        ...

    def statement(self) -> AbstractAsyncContextManager[Repositories]:
        """Open an autocommit connection, for reads or one writing statement.

        It saves the round trips of a transaction. Tests reject a second write, because the two would not be atomic.
        """
        ...
