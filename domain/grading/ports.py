"""Ports of grading: graders, the language model, the ledger of its calls, and reviews."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from decimal import Decimal
from typing import ParamSpec, Protocol
from uuid import UUID

from domain.assessments.lifecycle import Assessment
from domain.assessments.ports import Output
from domain.assessments.questions import Anchor
from domain.grading.ledger import Completion, CompletionKey, Reservation, SpendingLimits
from domain.grading.model_calibration import ReviewedLevel
from domain.grading.model_grading import Call, GradingRequest, Reply
from domain.grading.reviews import Review
from domain.grading.rubrics import Essay
from domain.grading.scores import EssayScore, Spent

Arguments = ParamSpec("Arguments")


class TextAnalysis(Protocol):
    """Runs functions on user text in a place where they can be stopped."""

    async def run(
        self, function: Callable[Arguments, Output], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Output:
        """Run a function and return its result. It must be a module-level function, and all values must be picklable.

        Raises:
            AnalysisFailed: the function raised, or every attempt ended by timeout, crash or lack of memory.
        """
        ...


class EssayGrader(Protocol):
    """Grades essays by their rubrics. It chooses levels; the points come from the rubric."""

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        """Return one score for each essay, in order. An abstention has points None.

        Raises:
            ExternalServiceError: the grader's service failed; a retry may help.
        """
        ...


class GradingModel(Protocol):
    """A language model that grades one essay by one rubric in each call. It returns levels, not points.

    `prompt_version` is the content hash of the constant parts of the prompt. `deadline_s` is the timeout of a call.
    `most_examples` is how many reviewed answers the prompt may show. `hosted_by_openai`: the calls go to OpenAI itself.
    """

    model: str
    prompt_version: str
    deadline_s: float
    most_examples: int
    hosted_by_openai: bool

    def highest_price_cents(self, wanted: GradingRequest) -> Decimal | None:
        """Return the highest possible price of the call, or None if the model's price is unknown."""
        ...

    async def complete(self, wanted: GradingRequest) -> Completion:
        """Send one request and return the reply. Equal `wanted` give equal requests.

        Raises:
            ModelUnavailable, ModelTimeout: a retry may help, after `retry_after_s` if the provider set it.
            ModelCircuitOpen, ModelBusy, ModelKeyRefused, ModelQuotaExhausted, ModelUnknown, ModelRequestRefused: an
                immediate retry does not help.
            TextRefused, TextTooLong: the model will never grade this essay.
        """
        ...

    def read(self, raw: bytes) -> Reply:
        """Parse a raw reply. Never raises."""
        ...


class ModelAnswers(Protocol):
    """The ledger of model calls. A call with a recorded reply is never paid for again."""

    async def replies(self, key: CompletionKey) -> dict[Call, bytes]:
        """Return all raw replies for the key's essay, versions, model and epoch, by call.

        `key.call` is ignored. A reply deleted by retention is empty.
        """
        ...

    async def reserve(self, reservation: Reservation, limits: SpendingLimits) -> datetime:
        """Claim a call before it is made, and reserve its highest price. Released and expired claims are replaced.

        Return the expiry time of the claim, which identifies it.

        Raises:
            AnswerAwaited: another claim has not expired.
            BudgetSpent, AttemptsExceeded: the limits do not allow the call.
            Conflict: the reply is already recorded.
            Erased: the user is being erased.
        """
        ...

    async def record(self, key: CompletionKey, answer: Completion) -> bytes:
        """Store a reply, and replace the reserved price by the actual one. Return the first reply that was stored.

        Raises:
            Erased: the user is being erased.
        """
        ...

    async def release(self, key: CompletionKey, claim: datetime) -> None:
        """Release the claim of a failed call and its reserved price. Other claims do not change."""
        ...

    async def epochs(self, assessment_id: UUID) -> dict[UUID, int]:
        """Return the highest epoch with a call, by snapshot id. Snapshots without a call are left out."""
        ...

    async def spent(self, assessment_id: UUID) -> dict[UUID, Spent]:
        """Return the latency and cost of each essay's calls, by snapshot id. Essays without a reply are left out."""
        ...


class ReviewedLevels(Protocol):
    """Reads a language model's levels that reviewers have confirmed or changed."""

    async def of_model(self, organization_id: UUID, model: str, prompt_version: str) -> tuple[ReviewedLevel, ...]:
        """Return the levels in the organization's newest 1,000 reviews, in any order.

        Left out: essays with a flag other than `too_short`, users who are being erased, and reviews of grades that were
        neither doubtful nor in the audit sample.
        """
        ...


class Reviews(Protocol):
    """The repository of reviews of essays."""

    async def of(self, assessment_id: UUID) -> tuple[Review, ...]:
        """Return all reviews of the assessment, oldest first. The last one of an item counts."""
        ...

    async def published(self, reviews: Sequence[UUID], revision: int) -> None:
        """Record the first revision that includes the reviews. A revision recorded earlier stays."""
        ...

    async def unpublished(self, *, after: UUID | None, limit: int) -> tuple[Assessment, ...]:
        """Return completed assessments with a review that no revision includes, by id, after `after`.

        Assessments whose later revisions were stopped by an error are left out; an operator must restart them.
        """
        ...

    async def labelled(self, assessment_id: UUID, versions: Collection[str]) -> dict[str, tuple[Anchor, ...]]:
        """Return reviewed answers of other students of the organization to these versions of questions.

        An answer counts for the version by which it is scored now. Each version has its newest 64 answers, oldest
        first. Versions without answers are left out. One round trip.
        """
        ...
