"""Embed texts with OpenAI's API or a compatible endpoint, the paid alternative to MiniLM."""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final
from uuid import uuid4

import structlog
from openai import APIStatusError
from pydantic import BaseModel, Field, ValidationError

from activities.adapters.openai.endpoint import Endpoint, EndpointSettings, request_id_of
from activities.adapters.openai.errors import error_in_reply, is_too_large, refused_option
from activities.adapters.openai.model_prices import ModelPrice
from domain.errors import ModelRequestRefused, ModelUnavailable, ModelUnknown
from domain.grading.ledger import EmbeddingPurchase
from domain.recommending.ports import EmbeddingLedger
from domain.recommending.vectors import DIMENSIONS

# A token has at least one byte. The models read 8,192 tokens of a text and 300,000 of a request.
TEXT_BYTES: Final = 8_000
REQUEST_BYTES: Final = 256_000
REQUEST_TEXTS: Final = 256
FEWEST_BYTES: Final = 256
"""The length at which a text is not cut further, because every model can read it."""
MOST_BYTES: Final = 8 * 1024 * 1024
"""The size limit of a reply; a vector takes about 8 KB of it."""

log = structlog.get_logger(__name__)


class OpenAIEmbeddingSettings(EndpointSettings):
    """`OPENAI_EMBEDDING_MODEL`: a model that can return vectors of 384 dimensions.

    `OPENAI_EMBEDDING_TIMEOUT_S` limits one request. It is short, because a learner's result may wait for it.
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
    """An Embedder that records the cost of each request before it returns the vectors. Call `close` at the end.

    Raises:
        InvalidInput: there is no API key.
        ModelUnavailable, ModelTimeout, ModelBusy, ModelCircuitOpen, ModelKeyRefused, ModelQuotaExhausted, ModelUnknown,
            ModelRequestRefused, TextRefused: as for essays.
        StorageUnavailable: the cost cannot be recorded.
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
        """Return one unit vector per text, of its first 8,000 bytes, or fewer if the endpoint accepts fewer."""
        return [vector for batch in _batches(texts) for vector in await self._embed_batch(batch)]

    async def _embed_batch(self, texts: Sequence[str]) -> list[list[float]]:
        """Return the vectors of a batch. A batch that is refused for its size is halved until each part is accepted.

        So a text that is too long is cut without an effect on the other texts. A refused request costs nothing.
        """
        reply = await self._request(texts)
        if reply is not None:
            return _vectors(reply, len(texts))
        if len(texts) > 1:
            middle = len(texts) // 2
            return [*await self._embed_batch(texts[:middle]), *await self._embed_batch(texts[middle:])]
        size = len(texts[0].encode())
        if size <= FEWEST_BYTES:
            raise ModelRequestRefused(f"The provider refuses even a text of {size} bytes: check OPENAI_EMBEDDING_MODEL")
        return await self._embed_batch([_beginning(texts[0], size // 2)])

    async def _request(self, texts: Sequence[str]) -> _Reply | None:
        """Return the reply and record its cost; None when the batch or one of its texts is too large."""
        async with self._endpoint.call():
            try:
                raw, request_id = await self._post_with_options(texts)
            except APIStatusError as error:
                if is_too_large(error):
                    return None
                raise
            reply = _read(raw)
        await self._ledger.record(self._purchase(len(texts), reply.tokens, request_id))
        return reply

    async def _post_with_options(self, texts: Sequence[str]) -> tuple[bytes, str | None]:
        """Post the request, and post it again without the option `dimensions` if the endpoint refuses that.

        A model with a fixed number of dimensions does not need it.
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
        # Any, because the SDK types every option separately.
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
    """Split the texts into batches that fit one request each."""
    batch: list[str] = []
    batch_bytes = 0
    for text in map(_beginning, texts):
        size = len(text.encode())
        if batch and (len(batch) == REQUEST_TEXTS or batch_bytes + size > REQUEST_BYTES):
            yield batch
            batch, batch_bytes = [], 0
        batch.append(text)
        batch_bytes += size
    if batch:
        yield batch


def _beginning(text: str, size: int = TEXT_BYTES) -> str:
    """Return the first bytes of a text; a blank for an empty text, because endpoints refuse empty ones."""
    return text.encode()[:size].decode(errors="ignore") or " "


def _read(raw: bytes) -> _Reply:
    try:
        return _Reply.model_validate_json(raw)
    except ValidationError:  # for example a gateway's HTML page, which the error would quote
        raise error_in_reply(raw) from None


def _vectors(reply: _Reply, number: int) -> list[list[float]]:
    """Return one vector per text, in the order of the texts.

    Gemini omits an index of 0. Other endpoints omit every index and return the vectors in order.
    """
    unnumbered = all(row.index is None for row in reply.data)
    rows = {(place if unnumbered else row.index or 0): row for place, row in enumerate(reply.data)}
    if len(reply.data) != number or rows.keys() != set(range(number)):
        raise ModelUnavailable("The provider did not return one vector per text: check OPENAI_EMBEDDING_MODEL")
    return [_unit(rows[place].embedding) for place in range(number)]


def _unit(vector: Sequence[float]) -> list[float]:
    """Normalize a vector to length one, which some endpoints do not do."""
    if len(vector) != DIMENSIONS:
        message = f"The model does not return vectors of {DIMENSIONS} dimensions: set another OPENAI_EMBEDDING_MODEL"
        raise ModelUnknown(message)
    length = math.hypot(*vector)
    if not length or not math.isfinite(length):
        raise ModelUnavailable("The provider returned a zero or infinite vector: check OPENAI_EMBEDDING_MODEL")
    return [value / length for value in vector]
