"""Rate limits: users by id, everybody else by address; logins by account and address together, and by each alone."""

import hashlib
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar, cast
from uuid import UUID

import structlog
from fastapi import Depends, Request
from limits import RateLimitItem, RateLimitItemPerDay, parse
from limits.aio.storage import Storage
from limits.aio.strategies import FixedWindowRateLimiter
from limits.errors import StorageError
from limits.storage import storage_from_string
from pydantic import AfterValidator, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from api.security.client_address import Proxies
from api.security.counters import Counters
from domain.errors import TooManyRequests

EXEMPT: Final = frozenset({"healthz", "readyz", "metrics", "work_metrics"})
LOGIN: Final = "create_token"
LOGINS_AT_LARGE: Final = 3
"""Times RATE_LIMIT_LOGIN: logins from one address at all accounts, and from all addresses at one account."""
KNOWN_DAYS: Final = 30
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_MEMORY: Final = "memory://"
_SCHEMES: Final = frozenset({"memory", *(name + end for name in ("redis", "valkey") for end in ("", "s", "+unix"))})
_STORAGE_TIMEOUT_S: Final = 0.25
_WITHOUT_STORAGE_S: Final = 5.0
"""How long a storage that failed is left alone."""

log = structlog.get_logger(__name__)

Found = TypeVar("Found")


def _limit(value: str) -> str:
    if parse(value).amount < 1:
        raise ValueError("must let at least one request through")
    return value


def _known(url: SecretStr) -> SecretStr:
    if url.get_secret_value().partition(":")[0] not in _SCHEMES:
        raise ValueError("must be memory://, or the URL of a Redis or Valkey")
    return url


Limit = Annotated[str, AfterValidator(_limit)]
"""`60/minute`, `1000 per 2 hours`: what the package `limits` reads."""


class RateLimitSettings(BaseSettings):
    """The variables whose names begin with RATE_LIMIT_.

    RATE_LIMIT_LOGIN is for one account from one address; `LOGINS_AT_LARGE` times as many for either of them alone.

    RATE_LIMIT_STORAGE is a Redis or Valkey that API processes share, such as `redis://cache:6379/0`, and needs the
    package `redis` or `valkey`. In memory, each process counts for itself.
    """

    model_config = SettingsConfigDict(env_prefix="RATE_LIMIT_", frozen=True, extra="ignore", hide_input_in_errors=True)

    writes: Limit = "60/minute"
    reads: Limit = "600/minute"
    login: Limit = "10/minute"
    storage: Annotated[SecretStr, AfterValidator(_known)] = SecretStr(_MEMORY)


@dataclass(frozen=True, slots=True)
class Policy:
    """A named limit. Its window begins with the first request and lasts for `limit.get_expiry()` seconds."""

    name: str
    limit: RateLimitItem

    def headers(self, remaining: int, reset_s: int) -> dict[str, str]:
        """As draft-ietf-httpapi-ratelimit-headers has them since its version 08."""
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.limit.amount};w={self.limit.get_expiry()}',
            "RateLimit": f'"{self.name}";r={remaining};t={reset_s}',
        }


_KNOWN: Final = Policy("login_known", RateLimitItemPerDay(1, KNOWN_DAYS))
"""An account and an address from which its owner has logged in; full once that has happened."""


class RateLimits:
    """Counts requests in fixed windows.

    A shared storage that is away is replaced by this process's memory for a while: nobody is locked out by its
    failure, and nobody is let in without a count.
    """

    def __init__(self, settings: RateLimitSettings, proxies: Proxies, storage: Storage | None = None) -> None:
        self._writes = Policy("writes", parse(settings.writes))
        self._reads = Policy("reads", parse(settings.reads))
        login = parse(settings.login)
        wide = type(login)(login.amount * LOGINS_AT_LARGE, login.multiples)
        self._login = Policy("login", login)
        self._logins_of_address = Policy("login_address", wide)
        self._logins_at_account = Policy("login_account", wide)
        self._password_changes = Policy("password_change", login)
        self._proxies = proxies
        self._own = FixedWindowRateLimiter(Counters())
        self._shared = FixedWindowRateLimiter(storage or _storage(settings.storage.get_secret_value()))
        self._own_until = 0.0

    async def count(self, request: Request, route: str) -> None:
        """Counts a request for its caller and leaves the headers of its answer in `request.state.rate_limit`.

        Raises:
            TooManyRequests: the caller has none left.
        """
        if route in EXEMPT:
            return
        principal = getattr(request.state, "principal", None)
        who = str(principal.user_id) if principal else self._proxies.caller(request.scope)
        policy = self._reads if request.method in _READING else self._writes
        await self._take(self._logins_of_address if route == LOGIN else policy, who, request)

    async def count_login(self, request: Request, account: str) -> None:
        """Counts an attempt at an account, by its normal address: from the caller's address, and from all addresses.

        Attempts from elsewhere do not count where the owner has logged in from the caller's address before. So whoever
        guesses at other addresses does not lock the owner out.

        Raises:
            TooManyRequests: there were too many of them.
        """
        pair = self._pair(request, account)
        await self._take(self._login, pair, request)
        is_unknown = await self._with_storage(lambda limiter: limiter.test(_KNOWN.limit, _KNOWN.name, pair))
        if is_unknown:
            await self._take(self._logins_at_account, _hashed(account))

    async def remember_login(self, request: Request, account: str) -> None:
        """Remembers for `KNOWN_DAYS` that the account's owner has logged in from the caller's address."""
        pair = self._pair(request, account)
        await self._with_storage(lambda limiter: limiter.clear(_KNOWN.limit, _KNOWN.name, pair))
        await self._with_storage(lambda limiter: limiter.hit(_KNOWN.limit, _KNOWN.name, pair))

    async def count_password_change(self, user_id: UUID) -> None:
        """Counts an attempt to change one's own password, which tells whether the current one was right.

        Raises:
            TooManyRequests: there were too many of them.
        """
        await self._take(self._password_changes, str(user_id))

    def _pair(self, request: Request, account: str) -> str:
        return _hashed(f"{account} {self._proxies.caller(request.scope)}")

    async def _take(self, policy: Policy, who: str, request: Request | None = None) -> None:
        taken = await self._with_storage(lambda limiter: limiter.hit(policy.limit, policy.name, who))
        stats = await self._with_storage(lambda limiter: limiter.get_window_stats(policy.limit, policy.name, who))
        reset_s = max(1, math.ceil(stats.reset_time - time.time()))
        if request is not None:
            request.state.rate_limit = policy.headers(stats.remaining, reset_s)
        if not taken:
            raise TooManyRequests("Too many requests; Retry-After tells when to go on", retry_after_s=reset_s)

    async def _with_storage(self, call: Callable[[FixedWindowRateLimiter], Awaitable[Found]]) -> Found:
        """Calls the shared limiter, or this process's own while the shared storage is away."""
        if time.monotonic() >= self._own_until:
            try:
                return await call(self._shared)
            except StorageError as error:
                log.warning("rate_limit_storage_away", error_type=type(error.storage_error).__qualname__)
                self._own_until = time.monotonic() + _WITHOUT_STORAGE_S
        return await call(self._own)


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def _limits(request: Request) -> RateLimits:
    return cast(RateLimits, request.app.state.limits)


Limits = Annotated[RateLimits, Depends(_limits)]


def _storage(url: str) -> Storage:
    """Raises limits.errors.ConfigurationError where the client's package is not installed."""
    if url == _MEMORY:
        return Counters()
    timeouts = {"socket_timeout": _STORAGE_TIMEOUT_S, "socket_connect_timeout": _STORAGE_TIMEOUT_S}
    storage = storage_from_string(f"async+{url}", wrap_exceptions=True, implementation="redispy", **timeouts)
    return cast(Storage, storage)
