"""Grade essays with OpenAI's API or a compatible endpoint."""

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
"""The size limit of a reply; a longer one is cut and then cannot be read."""
FRAMING_TOKENS: Final = 64
"""An upper bound on the number of tokens that a provider adds around the messages."""

log = structlog.get_logger(__name__)


class OpenAISettings(EndpointSettings):
    """`OPENAI_…`. Without an API key there is no language model.

    `timeout_s` limits a whole call; the workflow's policies allow at most 60 s. `max_tokens` limits a reply, reasoning
    included. `temperature`, `seed` and `reasoning_effort` are sent only if they are set (a seed makes all samples
    equal). `examples` is the number of a question's labelled answers in the prompt, and the most reviewed
    answers of other students in it.
    """

    model: str = Field(default="gpt-5.4-mini", min_length=1, max_length=128)
    timeout_s: float = Field(default=60.0, gt=0, le=60)
    max_tokens: int = Field(default=4_096, ge=256, le=100_000)
    temperature: float | None = Field(default=None, ge=0, le=2)
    seed: int | None = None
    reasoning_effort: str | None = None
    examples: int = Field(default=4, ge=0, le=32)


class OpenAIEssayGrader:
    """A GradingModel that uses chat completions. Call `close` at the end.

    Options that the endpoint refuses (the strict schema, JSON mode, a temperature) are not sent again. A refused
    request costs nothing and is repeated within the same call. A refused format of the reply is stored per schema,
    because another question's schema may be accepted.
    """

    def __init__(self, settings: OpenAISettings) -> None:
        self.model = settings.model
        self.deadline_s = settings.timeout_s
        self._settings = settings
        self._endpoint = Endpoint(settings, timeout_s=settings.timeout_s, most_bytes=MOST_BYTES)
        self._prompt = GraderPrompt(settings.key.encode(), examples=settings.examples)
        self.prompt_version = self._prompt.version
        self.most_examples = settings.examples
        self.hosted_by_openai = settings.is_openai
        self._refused: set[tuple[str, str]] = set()
        self._price = ModelPrice.find(settings.model, settings.prices)
        if self._price is None:
            log.warning("model_price_unknown", model=settings.model)

    async def close(self) -> None:
        await self._endpoint.close()

    def highest_price_cents(self, wanted: GradingRequest) -> Decimal | None:
        if self._price is None:
            return None
        sent = [*self._prompt.messages(wanted), reply_schema(wanted.essay.rubric)]
        # A token has at least one byte.
        prompt = len(json.dumps(sent, ensure_ascii=False).encode()) + FRAMING_TOKENS
        return self._price.cents(prompt=prompt, completion=self._settings.max_tokens)

    async def complete(self, wanted: GradingRequest) -> Completion:
        started = time.monotonic()
        async with self._endpoint.call():
            raw, request_id = await self._post_with_options(wanted)
            if not is_reply(raw):  # nothing was charged
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

    async def _post_with_options(self, wanted: GradingRequest) -> tuple[bytes, str | None]:
        """Post the request, without the options that the endpoint refuses; return the reply and the request id."""
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
        """Return the first option of each kind that the endpoint has not refused."""
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
        # Any, because the SDK types every message and option separately.
        create: Any = self._endpoint.client.chat.completions.with_streaming_response.create
        async with create(model=self.model, messages=messages, **body) as response:
            raw: bytes = await response.read()
            return raw, request_id_of(response.headers)


def _scope(option: str, schema: Json) -> tuple[str, str]:
    """Return the key of a refused option: a format is refused for one schema, any other option for every request."""
    return option, content_hash(schema) if option in FORMATS else ""
