"""The port GradingModel over OpenAI's API, or any endpoint that is compatible with it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any, Final

import httpx2
import structlog
from openai import APIError, APIStatusError, AsyncOpenAI, DefaultAsyncHttpxClient, Timeout
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from activities.adapters.circuit import Circuit, CircuitOpen
from activities.adapters.grader_prompt import GraderPrompt, Json, reply_schema
from activities.adapters.grader_reply import Usage, is_reply, read_reply, read_usage
from activities.adapters.model_prices import ModelPrice
from activities.adapters.openai_errors import is_away, model_error, refused_option
from domain.errors import InvalidInput, ModelCircuitOpen, ModelUnavailable
from domain.grading import Ask, Reply
from domain.ledger import Bought

MOST_BYTES: Final = 256 * 1024
"""Of a reply: a longer one is cut, and then cannot be read."""
FRAMING_TOKENS: Final = 64
"""More than what a provider adds around the messages."""
REQUEST_ID_CHARS: Final = 128

log = structlog.get_logger(__name__)


class OpenAISettings(BaseSettings):
    """`OPENAI_…`. Without an API key there is no language model.

    `base_url` is that of a compatible endpoint, with its `/v1`. `timeout_s` is for the whole of an answer; the
    workflow's policies allow no more. `max_tokens` is what a reply may take, thoughts included. `temperature`, `seed`
    and `reasoning_effort` are sent only where they are set (one seed makes all samples alike). `examples` is how many
    of a question's labelled answers the model sees. `prices` are US dollars for a million tokens by model, and come
    before the table in `model_prices.json`. After `circuit_threshold` failures in a row the endpoint is left alone for
    `circuit_open_s`.
    """

    model_config = SettingsConfigDict(
        env_prefix="OPENAI_", frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    api_key: SecretStr | None = None
    base_url: str = Field(default="https://api.openai.com/v1", pattern=r"^https?://[^\s/]")
    model: str = Field(default="gpt-5.4-mini", min_length=1, max_length=128)
    timeout_s: float = Field(default=60.0, gt=0, le=60)
    connect_timeout_s: float = Field(default=5.0, gt=0, le=60)
    max_tokens: int = Field(default=4_096, ge=256, le=100_000)
    temperature: float | None = Field(default=None, ge=0, le=2)
    seed: int | None = None
    reasoning_effort: str | None = None
    examples: int = Field(default=4, ge=0, le=32)
    prices: dict[str, ModelPrice] = Field(default_factory=dict)
    circuit_threshold: int = Field(default=5, ge=1, le=100)
    circuit_open_s: float = Field(default=30.0, gt=0, le=3_600)

    @field_validator("api_key")
    @classmethod
    def _fits_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        """A stray newline would end up in an error of the HTTP client, with the key around it."""
        bare = key.get_secret_value().strip() if key else ""
        if not bare.isascii() or not bare.isprintable():
            raise ValueError("must be of printable ASCII characters")
        return SecretStr(bare) if bare else None


class OpenAIEssayGrader:
    """A GradingModel by chat completions; `close` it in the end.

    What the endpoint says it cannot take (the strict schema, JSON mode, a temperature) is left out from then on, by
    requests that are refused, and so cost nothing, within the same call.
    """

    def __init__(self, settings: OpenAISettings) -> None:
        if settings.api_key is None:
            raise InvalidInput("A language model needs OPENAI_API_KEY")
        self.model = settings.model
        self.deadline_s = settings.timeout_s
        self._settings = settings
        self._client = AsyncOpenAI(
            api_key=settings.api_key.get_secret_value(),
            base_url=settings.base_url,
            max_retries=0,  # Temporal owns retries
            timeout=Timeout(settings.timeout_s, connect=settings.connect_timeout_s),
            default_headers={"Accept-Encoding": "identity"},  # what is cut must not be what is compressed
            http_client=DefaultAsyncHttpxClient(follow_redirects=False, event_hooks={"response": [_cut]}),
        )
        self._prompt = GraderPrompt(settings.api_key.get_secret_value().encode(), examples=settings.examples)
        self.prompt_version = self._prompt.version
        self._circuit = Circuit(threshold=settings.circuit_threshold, open_s=settings.circuit_open_s, fails=is_away)
        self._refused: set[str] = set()
        self._price = ModelPrice.find(settings.model, settings.prices)
        if self._price is None:
            log.warning("model_price_unknown", model=settings.model)

    async def close(self) -> None:
        await self._client.close()

    def highest_price_cents(self, wanted: Ask) -> Decimal | None:
        if self._price is None:
            return None
        told = [*self._prompt.messages(wanted), reply_schema(wanted.essay.rubric)]
        # A token is a byte at least.
        prompt = len(json.dumps(told, ensure_ascii=False).encode()) + FRAMING_TOKENS
        return self._price.cents(prompt=prompt, completion=self._settings.max_tokens)

    async def buy(self, wanted: Ask) -> Bought:
        started = time.monotonic()
        try:
            with self._circuit.entered():
                async with asyncio.timeout(self._settings.timeout_s):
                    raw, request_id = await self._ask(wanted)
                if not is_reply(raw):  # a gateway's page, say: nothing was bought
                    raise ModelUnavailable("What answered is no language model: check OPENAI_BASE_URL if it goes on")
        except CircuitOpen as error:
            message = "The language model failed too often just now, so it is left alone for a while"
            raise ModelCircuitOpen(message, retry_after_s=error.retry_after_s) from None
        except (APIError, httpx2.HTTPError, TimeoutError) as error:
            raise model_error(error) from None
        usage = read_usage(raw)
        return Bought(
            raw=raw,
            request_id=request_id,
            latency_ms=round((time.monotonic() - started) * 1000),
            prompt_tokens=usage.prompt,
            cached_tokens=usage.cached,
            completion_tokens=usage.completion,
            cost_cents=self._cost_cents(usage),
        )

    def read(self, raw: bytes) -> Reply:
        return read_reply(raw)

    def _cost_cents(self, usage: Usage) -> Decimal | None:
        if self._price is None or usage.prompt is None or usage.completion is None:
            return None
        return self._price.cents(prompt=usage.prompt, cached=usage.cached or 0, completion=usage.completion)

    async def _ask(self, wanted: Ask) -> tuple[bytes, str | None]:
        """The reply's bytes and the provider's request id, by the first request that the endpoint does not refuse."""
        messages = self._prompt.messages(wanted)
        while True:
            options = self._options(wanted)
            try:
                return await self._post(messages, options)
            except APIStatusError as error:
                option = refused_option(error, options)
                if option is None:
                    raise
                self._refused.add(option)
                log.warning("model_option_refused", model=self.model, option=option)

    def _options(self, wanted: Ask) -> Json:
        """Of each kind of optional part the first that the endpoint has not refused."""
        schema = {"name": "grading", "strict": True, "schema": reply_schema(wanted.essay.rubric)}
        limit = self._settings.max_tokens
        kinds: tuple[Json, ...] = (
            {"json_schema": {"type": "json_schema", "json_schema": schema}, "json_object": {"type": "json_object"}},
            {"max_completion_tokens": limit, "max_tokens": limit},
            *({name: getattr(self._settings, name)} for name in ("temperature", "seed", "reasoning_effort")),
        )
        offered = [{name: kind[name] for name in kind if name not in self._refused} for kind in kinds]
        first = [next(iter(kind.items())) for kind in offered if kind]
        return {name: value for name, value in first if value is not None}

    async def _post(self, messages: list[Json], options: Json) -> tuple[bytes, str | None]:
        body = {"response_format" if name.startswith("json_") else name: value for name, value in options.items()}
        # The SDK types every message and option; these are data.
        create: Any = self._client.chat.completions.with_streaming_response.create
        async with create(model=self.model, messages=messages, **body) as response:
            raw: bytes = await response.read()
            request_id: str | None = response.headers.get("x-request-id")
        return raw, request_id and request_id[:REQUEST_ID_CHARS]


async def _cut(response: httpx2.Response) -> None:
    """Before anything is read, the body of an error included, which the SDK reads whole."""
    if isinstance(response.stream, httpx2.AsyncByteStream):
        response.stream = _Cut(response.stream)


class _Cut(httpx2.AsyncByteStream):
    """The first bytes of a body. What is left of it costs the connection."""

    def __init__(self, whole: httpx2.AsyncByteStream) -> None:
        self._whole = whole

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = MOST_BYTES
        async for chunk in self._whole:
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                return

    async def aclose(self) -> None:
        await self._whole.aclose()
