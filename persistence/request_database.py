"""The unit of work of a request that writes."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, AsyncSessionTransaction, async_sessionmaker

from domain.appeals import Appeal
from domain.assessments.lifecycle import Assessment
from domain.rescores.rescores import Rescore
from domain.webhooks.deliveries import Delivery
from persistence.encryption import SecretCipher
from persistence.queries.catalog_views import ImportView
from persistence.repositories.account_links import AccountLinks
from persistence.repositories.api_keys import ApiKeys
from persistence.repositories.cohorts import Cohorts
from persistence.repositories.endpoints import Endpoints
from persistence.repositories.failed_assessments import FailedAssessments
from persistence.repositories.feedback import SubmittedFeedback
from persistence.repositories.idempotency import IdempotencyKeys
from persistence.repositories.people import People
from persistence.repositories.redeliveries import Redeliveries
from persistence.repositories.refresh_tokens import RefreshTokens
from persistence.repositories.releases import Releases
from persistence.repositories.requested_rescores import RequestedRescores
from persistence.repositories.review_claims import ReviewClaims
from persistence.repositories.roster import Roster
from persistence.repositories.student_assessments import StudentAssessments
from persistence.repositories.submitted_appeals import SubmittedAppeals
from persistence.repositories.submitted_reviews import SubmittedReviews
from persistence.repositories.web_sessions import WebSessions
from persistence.unit_of_work import SqlUnitOfWork, repository, sessions


class RequestUnitOfWork(SqlUnitOfWork):
    """A transaction with the repositories that only requests write to."""

    keys = repository(IdempotencyKeys)
    student_assessments = repository(StudentAssessments)
    failed_assessments = repository(FailedAssessments)
    submitted_reviews = repository(SubmittedReviews)
    submitted_appeals = repository(SubmittedAppeals)
    releases = repository(Releases)
    review_claims = repository(ReviewClaims)
    feedback = repository(SubmittedFeedback)
    people = repository(People)
    cohorts = repository(Cohorts)
    roster = repository(Roster)
    account_links = repository(AccountLinks)
    api_keys = repository(ApiKeys)
    refresh_tokens = repository(RefreshTokens)
    web_sessions = repository(WebSessions)
    redeliveries = repository(Redeliveries)
    requested_rescores = repository(RequestedRescores)

    def __init__(self, sessions: async_sessionmaker[AsyncSession], cipher: SecretCipher | None = None) -> None:
        super().__init__(sessions)
        self._cipher = cipher

    @property
    def endpoints(self) -> Endpoints:
        if self._cipher is None:
            raise RuntimeError("This process has no cipher for the secrets of webhook endpoints")
        return Endpoints(self._session, self._cipher)

    def savepoint(self) -> AsyncSessionTransaction:
        """Open a savepoint with `async with`. An error inside the block undoes the block only."""
        return self._session.begin_nested()

    async def workflow_subject(
        self, ids: Mapping[str, str]
    ) -> Appeal | Assessment | Delivery | ImportView | Rescore | None:
        """Read the appeal, assessment, pending delivery, import or re-score that a workflow call concerns.

        None means that no call is needed. `ids` come from the request's path and from its response.
        """
        match ids:
            case {"appeal_id": appeal_id}:  # such a response also names the assessment
                return await self.appeals.get(UUID(appeal_id))
            case {"assessment_id": assessment_id}:
                return await self.assessments.get(UUID(assessment_id))
            case {"delivery_id": delivery_id}:
                return await self.redeliveries.pending(UUID(delivery_id))
            case {"import_id": import_id}:
                return await self.catalog_imports.view(UUID(import_id))
            case {"rescore_id": rescore_id}:
                return await self.rescores.get(UUID(rescore_id))
            case _:
                return None


class RequestDatabase:
    """The database as requests use it. `cipher` encrypts the secrets of webhook endpoints."""

    def __init__(self, engine: AsyncEngine, cipher: SecretCipher | None = None) -> None:
        self._sessions = sessions(engine)
        self._cipher = cipher

    def transaction(self) -> RequestUnitOfWork:
        """Open a transaction. Leaving the block without `commit` rolls everything back."""
        return RequestUnitOfWork(self._sessions, self._cipher)
