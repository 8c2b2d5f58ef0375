"""Decorators that add metrics and tracing to outbound calls: model, duration, outcome, tokens and cost."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Protocol, TypeAlias

from temporalio import activity

from activities.adapters.telemetry.metrics import MODEL_CALL, MODEL_COST, MODEL_TOKENS, WEBHOOK_REQUEST, count
from domain.grading.ledger import Completion, EmbeddingPurchase
from domain.grading.model_grading import GradingRequest, Reply
from domain.grading.ports import GradingModel
from domain.recommending.ports import Embedder, EmbeddingLedger
from domain.webhooks.deliveries import Message, WebhookResponse, WebhookSender


class Span(Protocol):
    def set_attribute(self, key: str, value: str | int, /) -> None: ...


Spans: TypeAlias = Callable[[str, Mapping[str, str | int]], AbstractContextManager[Span]]
"""A function that opens a span with a name and attributes."""


class InstrumentedModel:
    """A GradingModel with metrics and tracing."""

    def __init__(self, model: GradingModel, spans: Spans) -> None:
        self.model = model.model
        self.prompt_version = model.prompt_version
        self.deadline_s = model.deadline_s
        self.most_examples = model.most_examples
        self.hosted_by_openai = model.hosted_by_openai
        self._model = model
        self._spans = spans

    def highest_price_cents(self, wanted: GradingRequest) -> Decimal | None:
        return self._model.highest_price_cents(wanted)

    async def complete(self, wanted: GradingRequest) -> Completion:
        about = {"gen_ai.operation.name": "chat", "gen_ai.request.model": self.model}
        with self._spans(f"chat {self.model}", about) as span, _timed(MODEL_CALL, model=self.model):
            completion = await self._model.complete(wanted)
            span.set_attribute("gen_ai.usage.input_tokens", completion.prompt_tokens or 0)
            span.set_attribute("gen_ai.usage.output_tokens", completion.completion_tokens or 0)
        cached = completion.cached_tokens or 0
        count(MODEL_TOKENS, (completion.prompt_tokens or 0) - cached, model=self.model, kind="prompt")
        count(MODEL_TOKENS, cached, model=self.model, kind="cached")
        count(MODEL_TOKENS, completion.completion_tokens or 0, model=self.model, kind="completion")
        _spend(completion.cost_cents, self.model)
        return completion

    def read(self, raw: bytes) -> Reply:
        return self._model.read(raw)


class InstrumentedEmbedder:
    """An Embedder with metrics and tracing, for models behind a network API."""

    def __init__(self, embedder: Embedder, spans: Spans) -> None:
        self.provider = embedder.provider
        self.model = embedder.model
        self._embedder = embedder
        self._spans = spans

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        about = {"gen_ai.operation.name": "embeddings", "gen_ai.request.model": self.model}
        with self._spans(f"embeddings {self.model}", about), _timed(MODEL_CALL, model=self.model):
            return await self._embedder.embed(texts)


class InstrumentedEmbeddingLedger:
    """An EmbeddingLedger with metrics."""

    def __init__(self, ledger: EmbeddingLedger) -> None:
        self._ledger = ledger

    async def record(self, purchase: EmbeddingPurchase) -> None:
        await self._ledger.record(purchase)
        count(MODEL_TOKENS, purchase.tokens or 0, model=purchase.model, kind="prompt")
        _spend(purchase.cost_cents, purchase.model)


class InstrumentedSender:
    """A WebhookSender with metrics and tracing. Spans contain no part of the URL, because it may contain a secret."""

    def __init__(self, sender: WebhookSender, spans: Spans) -> None:
        self._sender = sender
        self._spans = spans

    async def send(self, message: Message) -> WebhookResponse:
        with self._spans("POST webhook", {"webhook.id": str(message.event_id)}) as span:
            answer = await self._sender.send(message)
            span.set_attribute("webhook.outcome", answer.outcome)
            span.set_attribute("http.response.status_code", answer.code or 0)
        _observe(WEBHOOK_REQUEST, answer.latency_ms / 1000, outcome=answer.outcome)
        return answer


@contextmanager
def _timed(name: str, **labels: str) -> Iterator[None]:
    """Measure the duration, with the label `outcome`: `ok` or the error's class."""
    started, outcome = time.monotonic(), "ok"
    try:
        yield
    except BaseException as error:
        outcome = type(error).__name__
        raise
    finally:
        _observe(name, time.monotonic() - started, outcome=outcome, **labels)


def _observe(name: str, seconds: float, **labels: str) -> None:
    histogram = activity.metric_meter().create_histogram_timedelta(name)
    histogram.record(timedelta(seconds=seconds), {key: str(value) for key, value in labels.items()})


def _spend(cents: Decimal | None, model: str) -> None:
    """Record the cost. A call without a known price has no cost, which is not the same as a cost of 0."""
    if cents is not None:
        activity.metric_meter().create_histogram_float(MODEL_COST).record(float(cents), {"model": model})
