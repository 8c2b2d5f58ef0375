"""Vectors by OpenAI's API, or by any endpoint that is compatible with it: the paid second provider."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import uuid4

import structlog
from openai import APIStatusError
from pydantic import BaseModel, Field, ValidationError

from activities.adapters.openai.endpoint import Endpoint, EndpointSettings, request_id_of
from activities.adapters.openai.errors import error_in_reply, refused_option, wants_less
from activities.adapters.openai.model_prices import ModelPrice
from domain.errors import ModelRequestRefused, ModelUnavailable, ModelUnknown
from domain.grading.ledger import EmbeddingPurchase
from domain.recommending.ports import EmbeddingLedger
from domain.recommending.vectors import DIMENSIONS

# A token is a byte at least. The models read 8,192 tokens of a text and 300,000 of a request.
TEXT_BYTES: Final = 8_000
REQUEST_BYTES: Final = 256_000
REQUEST_TEXTS: Final = 256
FEWEST_BYTES: Final = 256
"""A shorter text is not cut further: every model reads that much."""
MOST_BYTES: Final = 8 * 1024 * 1024
"""Of a reply, in which a vector takes some 8 KB."""

log = structlog.get_logger(__name__)


class OpenAIEmbeddingSettings(EndpointSettings):
    """`OPENAI_EMBEDDING_MODEL`: one that can make vectors of 384 dimensions.

    `OPENAI_EMBEDDING_TIMEOUT_S` is for a request, and short, because a learner's result may wait for one.
    """

    embedding_model: str = Field(default="text-embedding-3-small", min_length=1, max_length=128)
    embedding_timeout_s: float = Field(default=10.0, gt=0, le=60)


class _Row(BaseModel):
    index: int | None = None
    embedding: list[float]


class _Usage(BaseModel):
    prompt_tokens: int | None = Field(default=None, ge=0)


class _Reply(BaseModel):
    data: list[_Row]
    usage: _Usage | None = None

    @property
    def tokens(self) -> int | None:
        return self.usage.prompt_tokens if self.usage else None


class OpenAIEmbedder:
    """An Embedder that writes down what each request cost before anybody uses its vectors; `close` it in the end.

    Raises:
        InvalidInput: there is no API key.
        ModelUnavailable, ModelTimeout, ModelBusy, ModelCircuitOpen, ModelKeyRefused, ModelQuotaExhausted, ModelUnknown,
            ModelRequestRefused, TextRefused: as for essays.
        StorageUnavailable: the cost cannot be written down.
    """

    provider = "openai"

    def __init__(self, settings: OpenAIEmbeddingSettings, ledger: EmbeddingLedger) -> None:
        self.model = settings.embedding_model
        self._ledger = ledger
        self._endpoint = Endpoint(settings, timeout_s=settings.embedding_timeout_s, most_bytes=MOST_BYTES)
        self._fixed_dimensions = False
        self._price = ModelPrice.find(self.model, settings.prices)
        if self._price is None:
            log.warning("model_price_unknown", model=self.model)

    async def close(self) -> None:
        await self._endpoint.close()

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """One unit vector a text, of its first 8,000 bytes, or of as many as the endpoint takes."""
        return [vector for batch in _batches(texts) for vector in await self._embed_batch(batch)]

    async def _embed_batch(self, texts: Sequence[str]) -> list[list[float]]:
        """The vectors of a batch; one that is refused for its size is halved until each part is accepted.

        So one long text costs no other text its vector, and is cut itself. A refused request costs nothing.
        """
        reply = await self._buy(texts)
        if reply is not None:
            return _vectors(reply, len(texts))
        if len(texts) > 1:
            middle = len(texts) // 2
            return [*await self._embed_batch(texts[:middle]), *await self._embed_batch(texts[middle:])]
        size = len(texts[0].encode())
        if size <= FEWEST_BYTES:
            raise ModelRequestRefused(f"The provider refuses even a text of {size} bytes: check OPENAI_EMBEDDING_MODEL")
        return await self._embed_batch([_beginning(texts[0], size // 2)])

    async def _buy(self, texts: Sequence[str]) -> _Reply | None:
        """The paid reply; None when the batch is too large or holds a text that is too long."""
        async with self._endpoint.call():
            try:
                raw, request_id = await self._ask(texts)
            except APIStatusError as error:
                if wants_less(error):
                    return None
                raise
            reply = _read(raw)
        await self._ledger.record(self._purchase(len(texts), reply.tokens, request_id))
        return reply

    async def _ask(self, texts: Sequence[str]) -> tuple[bytes, str | None]:
        """The reply to the first request that the endpoint does not refuse for its `dimensions`.

        A model that makes vectors of the right length anyway needs none.
        """
        while True:
            options = {} if self._fixed_dimensions else {"dimensions": DIMENSIONS}
            try:
                return await self._post(texts, options)
            except APIStatusError as error:
                if refused_option(error, options) is None:
                    raise
                self._fixed_dimensions = True
                log.warning("model_option_refused", model=self.model, option="dimensions")

    async def _post(self, texts: Sequence[str], options: dict[str, int]) -> tuple[bytes, str | None]:
        # The SDK types every option; these are data.
        create: Any = self._endpoint.client.embeddings.with_streaming_response.create
        async with create(model=self.model, input=list(texts), encoding_format="float", **options) as response:
            raw: bytes = await response.read()
            return raw, request_id_of(response.headers)

    def _purchase(self, texts: int, tokens: int | None, request_id: str | None) -> EmbeddingPurchase:
        return EmbeddingPurchase(
            id=uuid4(),
            provider=self.provider,
            model=self.model,
            texts=texts,
            tokens=tokens,
            cost_cents=self._price.cents(prompt=tokens, completion=0) if self._price and tokens is not None else None,
            request_id=request_id,
        )


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """What one request may hold each."""
    batch: list[str] = []
    held = 0
    for text in map(_beginning, texts):
        size = len(text.encode())
        if batch and (len(batch) == REQUEST_TEXTS or held + size > REQUEST_BYTES):
            yield batch
            batch, held = [], 0
        batch.append(text)
        held += size
    if batch:
        yield batch


def _beginning(text: str, size: int = TEXT_BYTES) -> str:
    """The first bytes of a text. Endpoints refuse an empty one, so a blank takes its place."""
    return text.encode()[:size].decode(errors="ignore") or " "


def _read(raw: bytes) -> _Reply:
    try:
        return _Reply.model_validate_json(raw)
    except ValidationError:  # a gateway's page, say; the error would quote it
        raise error_in_reply(raw) from None


def _vectors(reply: _Reply, number: int) -> list[list[float]]:
    """One vector a text, in the order of the texts.

    Gemini leaves out an index that is 0, other endpoints leave out all of them and answer in order.
    """
    unnumbered = all(row.index is None for row in reply.data)
    rows = {(place if unnumbered else row.index or 0): row for place, row in enumerate(reply.data)}
    if len(reply.data) != number or rows.keys() != set(range(number)):
        raise ModelUnavailable("The provider did not answer with one vector a text: check OPENAI_EMBEDDING_MODEL")
    return [_unit(rows[place].embedding) for place in range(number)]


def _unit(vector: Sequence[float]) -> list[float]:
    """Some endpoints leave vectors as long as they came."""
    if len(vector) != DIMENSIONS:
        raise ModelUnknown(f"The model makes no vectors of {DIMENSIONS} dimensions: set another OPENAI_EMBEDDING_MODEL")
    length = math.hypot(*vector)
    if not length or not math.isfinite(length):
        raise ModelUnavailable("The provider answered with a vector that is none: check OPENAI_EMBEDDING_MODEL")
    return [value / length for value in vector]
