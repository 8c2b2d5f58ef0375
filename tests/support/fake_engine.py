"""Fakes of the ports that start runs in the workflow engine."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

from domain.account_links import LinkMail
from domain.appeals import Appeal
from domain.assessments.lifecycle import Assessment
from domain.errors import ExternalServiceError
from domain.grading.scores import DegradedReason
from domain.privacy import Erasure
from domain.recommending.ports import SearchResult
from domain.recommending.recommendations import SearchHit
from domain.rescores.rescores import Rescore
from domain.webhooks.deliveries import Delivery


@dataclass
class RecordingRuns:
    """A fake of the port `AssessmentRuns` that records its calls. With `down`, it fails like an unavailable engine.

    `alive` has assessments whose run is live without a call.
    """

    alive: set[UUID] = field(default_factory=set)
    submitted: list[UUID] = field(default_factory=list)
    signalled: list[UUID] = field(default_factory=list)
    healed: list[UUID] = field(default_factory=list)
    healed_now: list[UUID] = field(default_factory=list)
    revised: list[UUID] = field(default_factory=list)
    down: bool = False

    async def submit(self, assessment: Assessment) -> None:
        self._record(self.submitted, assessment)

    async def resume(self, assessment: Assessment) -> bool:
        if assessment.id in self.live_ids:
            self._record(self.signalled, assessment)
            return False
        await self.submit(assessment)
        return True

    @property
    def live_ids(self) -> frozenset[UUID]:
        return frozenset([*self.alive, *self.submitted])

    async def live(self, assessment_ids: Sequence[UUID]) -> frozenset[UUID]:
        return frozenset(assessment_ids) & self.live_ids

    async def heal(self, assessment: Assessment) -> None:
        self._record(self.healed, assessment)

    async def heal_now(self, assessment: Assessment) -> None:
        self._record(self.healed_now, assessment)

    async def reviewed(self, assessment: Assessment) -> None:
        self._record(self.revised, assessment)

    async def resume_review(self, assessment: Assessment) -> bool:
        await self.reviewed(assessment)
        return True

    async def live_revisions(self, assessment_ids: Sequence[UUID]) -> frozenset[UUID]:
        return frozenset(assessment_ids) & frozenset([*self.healed, *self.healed_now, *self.revised])

    def _record(self, calls: list[UUID], assessment: Assessment) -> None:
        if self.down:
            raise ExternalServiceError("The workflow engine did not take the call")
        calls.append(assessment.id)


@dataclass
class RecordingDeliveries:
    """A fake of the port `DeliveryRuns` that records its calls."""

    started: list[Delivery] = field(default_factory=list)
    hurried: list[Delivery] = field(default_factory=list)
    down: bool = False

    async def start(self, delivery: Delivery) -> None:
        self._record(self.started, delivery)

    async def redeliver_now(self, delivery: Delivery) -> None:
        self._record(self.hurried, delivery)

    async def live(self, deliveries: Sequence[Delivery]) -> frozenset[UUID]:
        return frozenset(each.id for each in deliveries if each in [*self.started, *self.hurried])

    def _record(self, calls: list[Delivery], delivery: Delivery) -> None:
        if self.down:
            raise ExternalServiceError("The workflow engine did not take the call")
        calls.append(delivery)


@dataclass
class RecordingErasures:
    """A fake of the port `ErasureRuns` that records its calls."""

    started: list[Erasure] = field(default_factory=list)
    down: bool = False

    async def start(self, erasure: Erasure) -> None:
        if self.down:
            raise ExternalServiceError("The workflow engine did not take the call")
        self.started.append(erasure)

    async def live(self, erasures: Sequence[Erasure]) -> frozenset[UUID]:
        return frozenset(each.id for each in erasures if each in self.started)


@dataclass
class RecordingAppeals:
    """A fake of the port `AppealRuns` that records its calls."""

    started: list[UUID] = field(default_factory=list)
    ended: list[UUID] = field(default_factory=list)
    down: bool = False

    async def start(self, appeal: Appeal) -> None:
        self._record(self.started, appeal)

    async def closed(self, appeal: Appeal) -> None:
        self._record(self.ended, appeal)

    async def live(self, appeals: Sequence[Appeal]) -> frozenset[UUID]:
        return frozenset(each.id for each in appeals if each.id in self.started)

    def _record(self, calls: list[UUID], appeal: Appeal) -> None:
        if self.down:
            raise ExternalServiceError("The workflow engine did not take the call")
        calls.append(appeal.id)


@dataclass
class RecordingRescores:
    """A fake of the port `RescoreRuns` that records its calls."""

    started: list[UUID] = field(default_factory=list)
    down: bool = False

    async def start(self, rescore: Rescore) -> None:
        if self.down:
            raise ExternalServiceError("The workflow engine did not take the call")
        self.started.append(rescore.id)

    async def live(self, rescores: Sequence[Rescore]) -> frozenset[UUID]:
        return frozenset(each.id for each in rescores if each.id in self.started)


@dataclass
class RecordingLinkMails:
    """A fake of the port `LinkMailRuns` that records its calls."""

    started: list[UUID] = field(default_factory=list)
    down: bool = False

    async def start(self, mail: LinkMail) -> None:
        if self.down:
            raise ExternalServiceError("The workflow engine did not take the call")
        self.started.append(mail.id)

    async def live(self, mails: Sequence[LinkMail]) -> frozenset[UUID]:
        return frozenset(each.id for each in mails if each.id in self.started)


@dataclass
class ScriptedSearches:
    """A fake of the port `CatalogSearches`: returns `hits` for every search, or times out if `hits` is None."""

    hits: Sequence[SearchHit] | None = None
    degraded_reason: DegradedReason | None = None
    asked: list[UUID] = field(default_factory=list)

    async def search(self, search_id: UUID, *, limit: int) -> SearchResult:
        self.asked.append(search_id)
        if self.hits is None:
            raise ExternalServiceError("The workflow engine did not take the call")
        return SearchResult(hits=(tuple(self.hits[:limit]),), degraded_reason=self.degraded_reason)


@dataclass
class RecordingCatalogRuns:
    """A fake of the port `CatalogRuns` that counts its starts. With `down`, it fails like an unavailable engine."""

    starts: int = 0
    down: bool = False

    async def start(self) -> None:
        self.starts += 1
        if self.down:
            raise ExternalServiceError("The workflow engine did not take the call")
