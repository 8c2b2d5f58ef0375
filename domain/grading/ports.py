"""Ports of grading: graders, the language model and the ledger of its calls."""

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import ParamSpec, Protocol
from uuid import UUID

from domain.assessments.lifecycle import Assessment
from domain.assessments.ports import Output
from domain.assessments.questions import Anchor
from domain.grading.ledger import Completion, CompletionKey, Reservation, SpendingLimits
from domain.grading.model_grading import Call, GradingRequest, Reply
from domain.grading.reviews import Review
from domain.grading.rubrics import Essay
from domain.grading.scores import EssayScore, Spent

Arguments = ParamSpec("Arguments")


class TextAnalysis(Protocol):
    """Runs functions over text that users wrote where they can be stopped."""

    async def run(
        self, function: Callable[Arguments, Output], *args: Arguments.args, **kwargs: Arguments.kwargs
    ) -> Output:
        """The function's result. The function belongs to a module, and all values can be pickled.

        Raises:
            AnalysisFailed: the function raised, or every try was stopped by its time limit, a crash or lack of memory.
        """
        ...


class EssayGrader(Protocol):
    """Grades essays by their rubrics. It returns levels; points are the rubric's."""

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        """One score an essay, in order; abstains (points None) where it has no ground.

        Raises:
            ExternalServiceError: the grader's service failed; a retry may help.
        """
        ...


class GradingModel(Protocol):
    """A language model that grades one essay by one rubric a call; it is asked for levels, never for points.

    `prompt_version` is the content hash of everything constant that it is told; `deadline_s` bounds a call.
    """

    model: str
    prompt_version: str
    deadline_s: float

    def highest_price_cents(self, wanted: GradingRequest) -> Decimal | None:
        """What the call costs at most; None where nobody knows the model's price."""
        ...

    async def complete(self, wanted: GradingRequest) -> Completion:
        """One answer, by one request that is the same for equal `wanted`.

        Raises:
            ModelUnavailable, ModelTimeout: a retry may help, after `retry_after_s` where the provider says so.
            ModelCircuitOpen, ModelBusy, ModelKeyRefused, ModelQuotaExhausted, ModelUnknown, ModelRequestRefused: no
                retry helps now.
            TextRefused, TextTooLong: the model will never grade this essay.
        """
        ...

    def read(self, raw: bytes) -> Reply:
        """What a raw reply says; never raises, whatever the bytes are."""
        ...


class ModelAnswers(Protocol):
    """The ledger. An answer that is there is never bought again."""

    async def replies(self, key: CompletionKey) -> dict[Call, bytes]:
        """The raw replies for the key's essay, versions, model and epoch, whichever call it names."""
        ...

    async def reserve(self, intent: Reservation, limits: SpendingLimits) -> datetime:
        """Claims a call before it is made and reserves its highest price; a failed or lapsed claim is taken over.

        Returns when the claim lapses, which tells it from every other one.

        Raises:
            AnswerAwaited: somebody else's claim has not lapsed.
            BudgetSpent, AttemptsExceeded: the limits do not allow it.
            Conflict: the answer is there.
            Erased: the person is being erased.
        """
        ...

    async def record(self, key: CompletionKey, answer: Completion) -> bytes:
        """Stores a reply, with the real price instead of the reserved one. The first one kept stays, and is returned.

        Raises:
            Erased: the person is being erased.
        """
        ...

    async def release(self, key: CompletionKey, claim: datetime) -> None:
        """Gives up the claim of a call that failed, and what it had reserved; another's claim is left alone."""
        ...

    async def epochs(self, assessment_id: UUID) -> dict[UUID, int]:
        """The highest epoch that answers were asked for in, by snapshot; none where none were."""
        ...

    async def spent(self, assessment_id: UUID) -> dict[UUID, Spent]:
        """What was spent on each essay of the assessment, by snapshot; none where no answer was bought."""
        ...


class Reviews(Protocol):
    """What people made of essays."""

    async def of(self, assessment_id: UUID) -> tuple[Review, ...]:
        """All of the assessment, oldest first: the last one of an item counts."""
        ...

    async def published(self, reviews: Sequence[UUID], revision: int) -> None:
        """Notes that a revision stands on the reviews; what an earlier one stood on stays noted."""
        ...

    async def unpublished(self, *, after: UUID | None, limit: int) -> tuple[Assessment, ...]:
        """Completed assessments with a review that no revision has, by id, from after `after`.

        Where an error has stopped later revisions a person must ask for them again.
        """
        ...

    async def labelled(self, assessment_id: UUID) -> dict[str, tuple[Anchor, ...]]:
        """Reviewed answers to the assessment's questions by others of its organization, by question version.

        The newest 64 of each, oldest first; a version that has none is left out. One round trip.
        """
        ...
