"""Fake implementations of the ports."""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from operator import mul
from typing import Any
from uuid import UUID

from domain.account_links import LinkMail
from domain.appeals import Appeal
from domain.assessments.lifecycle import Assessment
from domain.database import Database, Repositories, UnitOfWork
from domain.errors import ExternalServiceError, InvalidInput, NotFound, StorageUnavailable
from domain.grading.ledger import Completion, EmbeddingPurchase
from domain.grading.model_grading import Grading, GradingRequest, RawRating, Reply, Unreadable
from domain.grading.rubrics import Essay, essay_points
from domain.grading.scores import CriterionRating, DegradedReason, EssayScore
from domain.ids import derived_id
from domain.privacy import Erasure
from domain.recommending.ports import CatalogText, IndexEntry, RejectedEntry, SearchQuery, SearchResult, Vector
from domain.recommending.recommendations import EarlierLearners, SearchHit
from domain.recommending.vectors import DIMENSIONS, check_vector
from domain.rescores.rescores import Rescore
from domain.webhooks.deliveries import Delivery, Message, WebhookResponse, outcome_of


@dataclass
class FailingDatabase:
    """A Database that fails for each of the next connections in `failures`, and always while `away` is true."""

    database: Database
    failures: list[bool] = field(default_factory=list)
    away: bool = False

    def transaction(self) -> AbstractAsyncContextManager[UnitOfWork]:
        self._check()
        return self.database.transaction()

    def statement(self) -> AbstractAsyncContextManager[Repositories]:
        self._check()
        return self.database.statement()

    def _check(self) -> None:
        if self.failures.pop(0) if self.failures else self.away:
            raise StorageUnavailable("Away")


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
class RecordingErasureList:
    """A fake of the port `ErasureList`."""

    people: list[UUID]

    async def add(self, user_id: UUID) -> None:
        if user_id not in self.people:
            self.people.append(user_id)


def answer(code: int = 200, **changes: Any) -> WebhookResponse:
    """Return a partner's response with this status code."""
    return replace(WebhookResponse(outcome=outcome_of(code), latency_ms=1, code=code), **changes)


@dataclass
class ScriptedSender:
    """A fake of `WebhookSender`: returns the responses in order, then repeats the last one. It records its calls."""

    answers: list[WebhookResponse] = field(default_factory=lambda: [answer()])
    sent: list[Message] = field(default_factory=list)

    async def send(self, message: Message) -> WebhookResponse:
        self.sent.append(message)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class FakeEmbedder:
    """A fake of `Embedder` and `LongTextEmbedder` that hashes words: texts with shared words get similar vectors."""

    provider = "fake"
    model = "bag-of-words"

    def __init__(self) -> None:
        self.batches: list[int] = []

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        self.batches.append(len(texts))
        return [bag_of_words(text) for text in texts]

    async def embed_long(self, texts: Sequence[str]) -> list[list[float]]:
        return await self.embed(texts)


@dataclass
class RecordingLedger:
    """A fake of the port `EmbeddingLedger`. With `down`, it fails like an unavailable database."""

    purchases: list[EmbeddingPurchase] = field(default_factory=list)
    down: bool = False

    async def record(self, purchase: EmbeddingPurchase) -> None:
        if self.down:
            raise StorageUnavailable("The database does not answer")
        self.purchases.append(purchase)


@dataclass
class RecordingCatalogRuns:
    """A fake of the port `CatalogRuns` that counts its starts. With `down`, it fails like an unavailable engine."""

    starts: int = 0
    down: bool = False

    async def start(self) -> None:
        self.starts += 1
        if self.down:
            raise ExternalServiceError("The workflow engine did not take the call")


def bag_of_words(text: str) -> list[float]:
    """Return a unit vector. A text without words points along the last axis."""
    vector = [0.0] * DIMENSIONS
    for word in text.lower().split():
        place = int.from_bytes(hashlib.sha256(word.strip(".,;:!?").encode()).digest()[:4], "big")
        vector[place % (DIMENSIONS - 1)] += 1.0
    length = math.hypot(*vector)
    return [value / length for value in vector] if length else [*vector[:-1], 1.0]


@dataclass(frozen=True, kw_only=True)
class IndexedCredential:
    """A credential as a search sees it. `vector` embeds its current text; None means that it is not embedded."""

    id: UUID
    artifact_id: UUID
    text: str
    skills: tuple[str, ...]
    vector: Sequence[float] | None
    active: bool = True


class InMemoryCredentialIndex:
    """A fake of the port `CredentialIndex`: fuses cosines and shared words as the real indexes do."""

    def __init__(self, credentials: Sequence[IndexedCredential]) -> None:
        self._credentials = [each for each in credentials if each.active and each.vector is not None]

    async def search(self, queries: Sequence[SearchQuery], *, limit: int) -> SearchResult:
        if limit < 1:
            raise InvalidInput("The limit of a search must be at least 1")
        for query in queries:
            check_vector(query.vector)
        return SearchResult(hits=tuple(tuple(self._hits(query)[:limit]) for query in queries))

    def _hits(self, query: SearchQuery) -> list[SearchHit]:
        wanted = [each for each in self._credentials if not query.skills or set(each.skills) & set(query.skills)]
        cosines = [sum(map(mul, query.vector, each.vector or ())) for each in wanted]
        words = [len(set(each.text.lower().split()) & set(query.text.lower().split())) for each in wanted]
        spread = max(cosines, default=0) - min(cosines, default=0)
        hits = [
            SearchHit(
                credential_id=each.id,
                artifact_id=each.artifact_id,
                similarity=cosine,
                score=0.7 * ((cosine - min(cosines)) / spread if spread else 1) + 0.3 * shared / (max(words) or 1),
            )
            for each, cosine, shared in zip(wanted, cosines, words, strict=True)
        ]
        return sorted(hits, key=lambda hit: (-hit.score, hit.credential_id))


class InMemoryIndexWriter:
    """A fake of the port `CredentialIndexWriter`; it rejects the credentials in `refuses`."""

    def __init__(self) -> None:
        self.indexes: dict[str | None, dict[UUID, IndexEntry]] = {}
        self.refuses: set[UUID] = set()
        self._begun = 0

    async def begin(self) -> str:
        self._begun += 1
        self.indexes[build := f"build {self._begun}"] = {}
        return build

    async def upsert(self, entries: Sequence[IndexEntry], build: str | None = None) -> tuple[RejectedEntry, ...]:
        for entry in entries:
            check_vector(entry.vector)
        taken = {entry.credential_id: entry for entry in entries if entry.credential_id not in self.refuses}
        self._index(build).update(taken)
        refused = [entry.credential_id for entry in entries if entry.credential_id not in taken]
        return tuple(RejectedEntry(credential_id=each, problem="unwanted") for each in refused)

    async def delete(self, credential_ids: Sequence[UUID], build: str | None = None) -> None:
        for each in credential_ids:
            self._index(build).pop(each, None)

    async def entries(self, build: str | None = None) -> dict[UUID, UUID]:
        return {each.credential_id: each.artifact_id for each in self._index(build).values()}

    async def finish(self, build: str) -> None:
        self.indexes = {None: self._index(build)}

    async def is_usable(self, at_least: int) -> bool:
        return None in self.indexes and len(self.indexes[None]) >= at_least

    def _index(self, build: str | None) -> dict[UUID, IndexEntry]:
        if build not in self.indexes:
            raise NotFound(f"There is no index {build}")
        return self.indexes[build]


class FakeEssayGrader:
    """A fake of `EssayGrader`: confidently gives the second level. Without labelled answers it abstains."""

    async def grade(self, essays: Sequence[Essay]) -> list[EssayScore]:
        return [_abstained(essay) if not essay.rubric.anchors else _second_level(essay) for essay in essays]


def _second_level(essay: Essay) -> EssayScore:
    ratings = tuple(
        CriterionRating(
            criterion=criterion.key,
            level=criterion.levels[1].name,
            points=criterion.levels[1].points,
            rationale="It is always the second level.",
        )
        for criterion in essay.rubric.criteria
    )
    points, _, fraction = essay_points(essay.rubric, ratings)
    score = _abstained(essay)
    return replace(score, points=points, fraction=fraction, ratings=ratings, confidence=Decimal(1), needs_review=False)


def _abstained(essay: Essay) -> EssayScore:
    return EssayScore(
        snapshot_id=essay.snapshot_id,
        points=None,
        max_points=essay.rubric.max_points,
        fraction=None,
        ratings=(),
        feedback="Read by nobody.",
        model="local-fake",
        prompt_version="fake",
        rubric_version=essay.rubric_version,
        confidence=Decimal(0),
        needs_review=True,
    )


class FakeGradingModel:
    """A fake of the port `GradingModel`: always the second level, with the essay's first words as the quote.

    Each call first takes the next entry of `script`: an error to raise or a raw reply. `asked` records the calls.
    """

    model = "fake-model"
    prompt_version = "f" * 64
    deadline_s = 60.0
    most_examples = 4
    hosted_by_openai = False

    def __init__(self, *script: Exception | bytes, price_cents: Decimal | None = Decimal("0.25")) -> None:
        self.script = list(script)
        self.asked: list[GradingRequest] = []
        self._price_cents = price_cents

    def highest_price_cents(self, wanted: GradingRequest) -> Decimal | None:
        del wanted
        return self._price_cents

    async def complete(self, wanted: GradingRequest) -> Completion:
        self.asked.append(wanted)
        play = self.script.pop(0) if self.script else graded_raw(wanted)
        if isinstance(play, Exception):
            raise play
        return Completion(
            raw=play,
            request_id=f"fake-{len(self.asked)}",
            latency_ms=7,
            prompt_tokens=100,
            cached_tokens=80,
            completion_tokens=10,
            cost_cents=self._price_cents,
        )

    def read(self, raw: bytes) -> Reply:
        try:
            ratings, feedback, *addressed = json.loads(raw)
            given = [
                RawRating(criterion=key, level=level, rationale=why, quotes=tuple(quotes))
                for key, level, why, quotes in ratings
            ]
        except (ValueError, TypeError, RecursionError):
            return Unreadable(problem="is none of the fake's")
        return Grading(ratings=tuple(given), feedback=feedback, addresses_grader=tuple(addressed))


def graded_raw(wanted: GradingRequest, level: int = 1, addressed: str | None = None) -> bytes:
    """Build the fake model's reply: one level for every criterion, with the essay's first words as the quote.

    `addressed` is the text that the model reports as addressed to the grader.
    """
    quotes = [wanted.text[:40]] if level else []
    ratings = [(each.key, each.levels[level].name, "It says so.", quotes) for each in wanted.essay.rubric.criteria]
    named = [addressed] if addressed else []
    return json.dumps([ratings, "Say how you would check it.", *named]).encode()


class FakeNearestLearners:
    """A fake of the port `NearestLearners`: similarity is 1 minus the mean difference of the shared scores."""

    async def nearest(
        self, profile: Mapping[str, Decimal | None], learners: EarlierLearners, k: int
    ) -> tuple[tuple[UUID, float], ...]:
        all_scores = [
            {skill: scores[place] for skill, scores in learners.scores.items()} for place in range(len(learners.ids))
        ]
        found = [
            (UUID(id_), nearness)
            for id_, scores in zip(learners.ids, all_scores, strict=True)
            if (nearness := _nearness(profile, scores)) > 0
        ]
        return tuple(sorted(found, key=lambda pair: (-pair[1], pair[0]))[:k])


def _nearness(mine: Mapping[str, Decimal | None], theirs: Mapping[str, float | None]) -> float:
    pairs = [(score, theirs.get(skill)) for skill, score in mine.items()]
    apart = [abs(float(score) - other) for score, other in pairs if score is not None and other is not None]
    return round(1 - sum(apart) / len(apart), 6) if apart else 0.0


class InMemoryEmbeddingArtifacts:
    """A fake of the port `EmbeddingArtifacts` on a list of texts."""

    def __init__(self, texts: Sequence[CatalogText]) -> None:
        self.texts = list(texts)
        self.vectors: dict[tuple[UUID, str, str, str], Vector] = {}

    async def pending(self, provider: str, model: str, *, limit: int) -> tuple[CatalogText, ...]:
        return tuple(self._pending(provider, model)[:limit])

    async def count_pending(self, provider: str, model: str) -> int:
        return len(self._pending(provider, model))

    async def add(self, provider: str, model: str, embedded: Sequence[tuple[CatalogText, Vector]]) -> None:
        for _, vector in embedded:
            check_vector(vector)
        for text, vector in embedded:
            self.vectors.setdefault((text.credential_id, provider, model, text.text_hash), vector)

    async def searchable(self, provider: str, model: str) -> dict[UUID, UUID]:
        return {each.credential_id: each.artifact_id for each in self._entries(provider, model)}

    async def count_searchable(self, provider: str, model: str) -> int:
        return len(self._entries(provider, model))

    async def entries(self, artifact_ids: Sequence[UUID]) -> tuple[IndexEntry, ...]:
        everything = {(provider, model) for _, provider, model, _ in self.vectors}
        found = [each for made_by in everything for each in self._entries(*made_by) if each.artifact_id in artifact_ids]
        return tuple(sorted(found, key=lambda each: each.credential_id))

    def _entries(self, provider: str, model: str) -> list[IndexEntry]:
        return [
            IndexEntry(
                credential_id=text.credential_id,
                artifact_id=derived_id("embedding", *key),
                title=text.text,
                description="",
                skills=(),
                vector=self.vectors[key],
            )
            for text in self.texts
            if (key := (text.credential_id, provider, model, text.text_hash)) in self.vectors
        ]

    def _pending(self, provider: str, model: str) -> list[CatalogText]:
        texts = sorted(self.texts, key=lambda text: text.credential_id)
        return [each for each in texts if (each.credential_id, provider, model, each.text_hash) not in self.vectors]
