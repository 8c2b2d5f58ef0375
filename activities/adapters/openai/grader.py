"""The port GradingModel over OpenAI's API, or any endpoint that is compatible with it."""

import json
import time
from decimal import Decimal
from typing import Any, Final

import structlog
from openai import APIStatusError
from pydantic import Field

from activities.adapters.openai.endpoint import Endpoint, EndpointSettings, request_id_of
from activities.adapters.openai.errors import FORMATS, error_in_reply, refused_option
from activities.adapters.openai.grader_prompt import GraderPrompt, Json, reply_schema
from activities.adapters.openai.grader_reply import Usage, is_reply, read_reply, read_usage
from activities.adapters.openai.model_prices import ModelPrice
from domain.grading.ledger import Completion
from domain.grading.model_grading import Grading, GradingRequest, Reply, without_wording
from domain.ids import content_hash

MOST_BYTES: Final = 256 * 1024
"""Of a reply: a longer one is cut, and then cannot be read."""
FRAMING_TOKENS: Final = 64
"""More than what a provider adds around the messages."""

log = structlog.get_logger(__name__)


class OpenAISettings(EndpointSettings):
    """`OPENAI_…`. Without an API key there is no language model.

    `timeout_s` is for the whole of an answer; the workflow's policies allow no more. `max_tokens` is what a reply may
    take, thoughts included. `temperature`, `seed` and `reasoning_effort` are sent only where they are set (one seed
    makes all samples alike). `examples` is how many of a question's labelled answers the model sees.
    """

    model: str = Field(default="gpt-5.4-mini", min_length=1, max_length=128)
    timeout_s: float = Field(default=60.0, gt=0, le=60)
    max_tokens: int = Field(default=4_096, ge=256, le=100_000)
    temperature: float | None = Field(default=None, ge=0, le=2)
    seed: int | None = None
    reasoning_effort: str | None = None
    examples: int = Field(default=4, ge=0, le=32)


class OpenAIEssayGrader:
    """A GradingModel by chat completions; `close` it in the end.

    Options that the endpoint refuses (the strict schema, JSON mode, a temperature) are left out from then on. A refused
    request costs nothing and is repeated within the same call. A refused format of the reply is remembered by schema:
    another question's schema may be accepted.
    """

    def __init__(self, settings: OpenAISettings) -> None:
        self.model = settings.model
        self.deadline_s = settings.timeout_s
        self._settings = settings
        self._endpoint = Endpoint(settings, timeout_s=settings.timeout_s, most_bytes=MOST_BYTES)
        self._prompt = GraderPrompt(settings.key.encode(), examples=settings.examples)
        self.prompt_version = self._prompt.version
        self._refused: set[tuple[str, str]] = set()
        self._price = ModelPrice.find(settings.model, settings.prices)
        if self._price is None:
            log.warning("model_price_unknown", model=settings.model)

    async def close(self) -> None:
        await self._endpoint.close()

    def highest_price_cents(self, wanted: GradingRequest) -> Decimal | None:
        if self._price is None:
            return None
        told = [*self._prompt.messages(wanted), reply_schema(wanted.essay.rubric)]
        # A token is a byte at least.
        prompt = len(json.dumps(told, ensure_ascii=False).encode()) + FRAMING_TOKENS
        return self._price.cents(prompt=prompt, completion=self._settings.max_tokens)

    async def complete(self, wanted: GradingRequest) -> Completion:
        started = time.monotonic()
        async with self._endpoint.call():
            raw, request_id = await self._ask(wanted)
            if not is_reply(raw):  # nothing was bought
                raise error_in_reply(raw)
        usage = read_usage(raw)
        return Completion(
            raw=raw,
            request_id=request_id,
            latency_ms=round((time.monotonic() - started) * 1000),
            prompt_tokens=usage.prompt,
            cached_tokens=usage.cached,
            completion_tokens=usage.completion,
            cost_cents=self._cost_cents(usage),
        )

    def read(self, raw: bytes) -> Reply:
        reply = read_reply(raw)
        return without_wording(reply, self._prompt.wording) if isinstance(reply, Grading) else reply

    def _cost_cents(self, usage: Usage) -> Decimal | None:
        if self._price is None or usage.prompt is None or usage.completion is None:
            return None
        return self._price.cents(prompt=usage.prompt, cached=usage.cached or 0, completion=usage.completion)

    async def _ask(self, wanted: GradingRequest) -> tuple[bytes, str | None]:
        """The reply's bytes and the provider's request id, by the first request that the endpoint does not refuse."""
        messages = self._prompt.messages(wanted)
        schema = reply_schema(wanted.essay.rubric)
        while True:
            options = self._options(schema)
            try:
                return await self._post(messages, options)
            except APIStatusError as error:
                option = refused_option(error, options)
                if option is None:
                    raise
                self._refused.add(_scope(option, schema))
                log.warning("model_option_refused", model=self.model, option=option)

    def _options(self, reply: Json) -> Json:
        """Of each kind of optional part the first that the endpoint has not refused."""
        schema = {"name": "grading", "strict": True, "schema": reply}
        limit = self._settings.max_tokens
        kinds: tuple[Json, ...] = (
            {"json_schema": {"type": "json_schema", "json_schema": schema}, "json_object": {"type": "json_object"}},
            {"max_completion_tokens": limit, "max_tokens": limit},
            *({name: getattr(self._settings, name)} for name in ("temperature", "seed", "reasoning_effort")),
        )
        offered = [{name: kind[name] for name in kind if _scope(name, reply) not in self._refused} for kind in kinds]
        first = [next(iter(kind.items())) for kind in offered if kind]
        return {name: value for name, value in first if value is not None}

    async def _post(self, messages: list[Json], options: Json) -> tuple[bytes, str | None]:
        body = {"response_format" if name in FORMATS else name: value for name, value in options.items()}
        # The SDK types every message and option; these are data.
        create: Any = self._endpoint.client.chat.completions.with_streaming_response.create
        async with create(model=self.model, messages=messages, **body) as response:
            raw: bytes = await response.read()
            return raw, request_id_of(response.headers)


def _scope(option: str, schema: Json) -> tuple[str, str]:
    """What a refusal of the option holds for: a format of the reply for one schema, anything else for every request."""
    return option, content_hash(schema) if option in FORMATS else ""
