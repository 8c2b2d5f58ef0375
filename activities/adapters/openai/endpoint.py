"""A client for OpenAI's API or a compatible endpoint, with time limits, a circuit breaker and the domain's errors."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import httpx2
from openai import APIError, AsyncOpenAI, DefaultAsyncHttpxClient, Timeout
from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from activities.adapters.circuit import Circuit, CircuitOpen
from activities.adapters.openai.errors import is_outage, model_error
from activities.adapters.openai.model_prices import ModelPrice
from domain.errors import InvalidInput, ModelCircuitOpen

REQUEST_ID_CHARS: Final = 128


class EndpointSettings(BaseSettings):
    """`OPENAI_…`. Without an API key OpenAI's models are not used.

    `base_url` is the address of a compatible endpoint, including its `/v1`. `prices` are US dollars per million tokens
    by model; they override the table in `model_prices.json`. After `circuit_threshold` consecutive failures no calls
    are made for `circuit_open_s` seconds.
    """

    model_config = SettingsConfigDict(
        env_prefix="OPENAI_", frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    api_key: SecretStr | None = None
    base_url: str = Field(default="https://api.openai.com/v1", pattern=r"^https?://[^\s/]")
    connect_timeout_s: float = Field(default=5.0, gt=0, le=60)
    prices: dict[str, ModelPrice] = Field(default_factory=dict)
    circuit_threshold: int = Field(default=5, ge=1, le=100)
    circuit_open_s: float = Field(default=30.0, gt=0, le=3_600)

    @field_validator("api_key")
    @classmethod
    def _fits_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        """Reject a key that does not fit a header, because the HTTP client would quote it in its error."""
        bare = key.get_secret_value().strip() if key else ""
        if not bare.isascii() or not bare.isprintable():
            raise ValueError("must consist of printable ASCII characters")
        return SecretStr(bare) if bare else None

    @property
    def is_openai(self) -> bool:
        """Whether the address is OpenAI's own, in any region."""
        host = httpx2.URL(self.base_url).host
        return host == "openai.com" or host.endswith(".openai.com")

    @property
    def key(self) -> str:
        """Return the API key.

        Raises:
            InvalidInput: there is no key.
        """
        if self.api_key is None:
            raise InvalidInput("A model of OpenAI or of a compatible endpoint needs OPENAI_API_KEY")
        return self.api_key.get_secret_value()


class Endpoint:
    """A client that limits calls to `timeout_s` and replies to `most_bytes`. Call `close` at the end."""

    def __init__(self, settings: EndpointSettings, *, timeout_s: float, most_bytes: int) -> None:
        self._timeout_s = timeout_s
        self._last = ""
        self._circuit = Circuit(threshold=settings.circuit_threshold, open_s=settings.circuit_open_s, fails=is_outage)
        self.client = AsyncOpenAI(
            api_key=settings.key,
            base_url=settings.base_url,
            max_retries=0,  # Temporal owns retries
            timeout=Timeout(timeout_s, connect=settings.connect_timeout_s),
            default_headers={"Accept-Encoding": "identity"},  # a compressed body cannot be cut
            http_client=DefaultAsyncHttpxClient(
                follow_redirects=False, event_hooks={"response": [_cut_at(most_bytes)]}
            ),
        )

    @asynccontextmanager
    async def call(self) -> AsyncIterator[None]:
        """Surround a call with its time limit and the circuit, and translate the SDK's errors to the domain's.

        Raises:
            ExternalServiceError: the call failed, or the circuit is open.
        """
        try:
            with self._circuit.entered():
                async with asyncio.timeout(self._timeout_s):
                    yield
        except CircuitOpen as error:
            message = f"The language model failed too often, so calls to it are paused. {self._last}"
            raise ModelCircuitOpen(message.rstrip(), retry_after_s=error.retry_after_s) from None
        except (APIError, httpx2.HTTPError, TimeoutError) as error:
            failure = model_error(error)
            self._last = f"Last failure: {failure.message}"
            raise failure from None

    async def close(self) -> None:
        await self.client.close()


def request_id_of(headers: httpx2.Headers) -> str | None:
    """Return the provider's request id, which its support asks for."""
    found: str | None = headers.get("x-request-id")
    return found and found[:REQUEST_ID_CHARS]


def _cut_at(most_bytes: int) -> Callable[[httpx2.Response], Awaitable[None]]:
    async def cut(response: httpx2.Response) -> None:
        """Limit the body before it is read. The SDK reads the body of an error whole."""
        if isinstance(response.stream, httpx2.AsyncByteStream):
            response.stream = _Cut(response.stream, most_bytes)

    return cut


class _Cut(httpx2.AsyncByteStream):
    """The first bytes of a body. If it is longer, its connection is closed."""

    def __init__(self, whole: httpx2.AsyncByteStream, most_bytes: int) -> None:
        self._whole = whole
        self._most_bytes = most_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = self._most_bytes
        async for chunk in self._whole:
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                return

    async def aclose(self) -> None:
        await self._whole.aclose()
