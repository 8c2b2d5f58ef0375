"""Rate limits. Requests count by user id or, without a token, by address; logins by account, by address and by both."""

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

from api.security.client_address import TrustedProxies
from api.security.counters import Counters
from domain.errors import TooManyRequests

EXEMPT: Final = frozenset({"healthz", "readyz", "metrics", "work_metrics"})
LOGIN: Final = "create_token"
LOGINS: Final = frozenset({LOGIN, "use_link"})
"""Routes without a token that check a secret of a user."""
WIDE_LOGIN_FACTOR: Final = 3
"""Factor on RATE_LIMIT_LOGIN for one address with all accounts, and for one account from all addresses."""
KNOWN_DAYS: Final = 30
_READING: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_MEMORY: Final = "memory://"
_SCHEMES: Final = frozenset({"memory", *(name + end for name in ("redis", "valkey") for end in ("", "s", "+unix"))})
_STORAGE_TIMEOUT_S: Final = 0.25
_STORAGE_RETRY_S: Final = 5.0
"""After the shared storage failed, in-memory counters are used for this long."""

log = structlog.get_logger(__name__)

Result = TypeVar("Result")


def _valid_limit(value: str) -> str:
    if parse(value).amount < 1:
        raise ValueError("must allow at least one request")
    return value


def _supported_storage(url: SecretStr) -> SecretStr:
    if url.get_secret_value().partition(":")[0] not in _SCHEMES:
        raise ValueError("must be memory://, or the URL of a Redis or Valkey server")
    return url


Limit = Annotated[str, AfterValidator(_valid_limit)]
"""A limit in the notation of the package `limits`, such as `60/minute` or `1000 per 2 hours`."""


class RateLimitSettings(BaseSettings):
    """Environment variables with the prefix RATE_LIMIT_.

    RATE_LIMIT_LOGIN applies to one account from one address. One account from all addresses, and one address with all
    accounts, may make `WIDE_LOGIN_FACTOR` times as many attempts.

    RATE_LIMIT_STORAGE is a Redis or Valkey server that API processes share, such as `redis://cache:6379/0`. It needs
    the package `redis` or `valkey`. With the default `memory://`, each process counts separately.
    """

    model_config = SettingsConfigDict(env_prefix="RATE_LIMIT_", frozen=True, extra="ignore", hide_input_in_errors=True)

    writes: Limit = "60/minute"
    reads: Limit = "600/minute"
    login: Limit = "10/minute"
    storage: Annotated[SecretStr, AfterValidator(_supported_storage)] = SecretStr(_MEMORY)


@dataclass(frozen=True, slots=True)
class RateLimitPolicy:
    """A named limit. Its window starts with the first request and lasts `limit.get_expiry()` seconds."""

    name: str
    limit: RateLimitItem

    def headers(self, remaining: int, reset_s: int) -> dict[str, str]:
        """Return the response headers of draft-ietf-httpapi-ratelimit-headers, version 08 and later."""
        return {
            "RateLimit-Policy": f'"{self.name}";q={self.limit.amount};w={self.limit.get_expiry()}',
            "RateLimit": f'"{self.name}";r={remaining};t={reset_s}',
        }


_KNOWN_PAIR: Final = RateLimitPolicy("login_known", RateLimitItemPerDay(1, KNOWN_DAYS))
"""Marks a pair of account and address as known after a login. One hit uses up the limit, which means "known"."""


class RateLimits:
    """Count requests in fixed windows.

    When the shared storage fails, this process counts in memory for a while. Clients are not locked out, and requests
    remain limited.
    """

    def __init__(self, settings: RateLimitSettings, proxies: TrustedProxies, storage: Storage | None = None) -> None:
        self._writes = RateLimitPolicy("writes", parse(settings.writes))
        self._reads = RateLimitPolicy("reads", parse(settings.reads))
        login = parse(settings.login)
        wide = type(login)(login.amount * WIDE_LOGIN_FACTOR, login.multiples)
        self._login = RateLimitPolicy("login", login)
        self._logins_of_address = RateLimitPolicy("login_address", wide)
        self._logins_at_account = RateLimitPolicy("login_account", wide)
        self._password_changes = RateLimitPolicy("password_change", login)
        self._proxies = proxies
        self._in_memory = FixedWindowRateLimiter(Counters())
        self._shared = FixedWindowRateLimiter(storage or _storage(settings.storage.get_secret_value()))
        self._in_memory_until = 0.0

    async def count(self, request: Request, route: str) -> None:
        """Count a request and store the rate limit headers of its response in `request.state.rate_limit`.

        Raises:
            TooManyRequests: the client has used up its limit.
        """
        if route in EXEMPT:
            return
        principal = getattr(request.state, "principal", None)
        who = str(principal.user_id) if principal else self._proxies.client_address(request.scope)
        policy = self._reads if request.method in _READING else self._writes
        await self._hit(self._logins_of_address if route in LOGINS else policy, who, request)

    async def count_login(self, request: Request, account: str) -> None:
        """Count a login attempt. `account` is the normal form of the e-mail address.

        The attempt counts for the client's address with this account. It also counts for all addresses with this
        account, unless the account has logged in from the client's address before. So an attacker at other addresses
        does not lock the owner out.

        Raises:
            TooManyRequests: there were too many attempts.
        """
        pair = self._pair(request, account)
        await self._hit(self._login, pair, request)
        is_unknown = await self._with_storage(lambda limiter: limiter.test(_KNOWN_PAIR.limit, _KNOWN_PAIR.name, pair))
        if is_unknown:
            await self._hit(self._logins_at_account, _hashed(account))

    async def remember_login(self, request: Request, account: str) -> None:
        """Store for `KNOWN_DAYS` that the account has logged in from the client's address."""
        pair = self._pair(request, account)
        await self._with_storage(lambda limiter: limiter.clear(_KNOWN_PAIR.limit, _KNOWN_PAIR.name, pair))
        await self._with_storage(lambda limiter: limiter.hit(_KNOWN_PAIR.limit, _KNOWN_PAIR.name, pair))

    async def count_password_change(self, user_id: UUID) -> None:
        """Count a password change, because its response shows whether the current password was right.

        Raises:
            TooManyRequests: there were too many attempts.
        """
        await self._hit(self._password_changes, str(user_id))

    def _pair(self, request: Request, account: str) -> str:
        return _hashed(f"{account} {self._proxies.client_address(request.scope)}")

    async def _hit(self, policy: RateLimitPolicy, who: str, request: Request | None = None) -> None:
        taken = await self._with_storage(lambda limiter: limiter.hit(policy.limit, policy.name, who))
        stats = await self._with_storage(lambda limiter: limiter.get_window_stats(policy.limit, policy.name, who))
        reset_s = max(1, math.ceil(stats.reset_time - time.time()))
        if request is not None:
            request.state.rate_limit = policy.headers(stats.remaining, reset_s)
        if not taken:
            raise TooManyRequests(
                "Too many requests. Try again after the seconds in Retry-After", retry_after_s=reset_s
            )

    async def _with_storage(self, call: Callable[[FixedWindowRateLimiter], Awaitable[Result]]) -> Result:
        """Call the shared limiter, or the in-memory one if the shared storage has failed recently."""
        if time.monotonic() >= self._in_memory_until:
            try:
                return await call(self._shared)
            except StorageError as error:
                log.warning("rate_limit_storage_away", error_type=type(error.storage_error).__qualname__)
                self._in_memory_until = time.monotonic() + _STORAGE_RETRY_S
        return await call(self._in_memory)


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


async def _limits(request: Request) -> RateLimits:
    return cast(RateLimits, request.app.state.limits)


Limits = Annotated[RateLimits, Depends(_limits)]


def _storage(url: str) -> Storage:
    """Create the storage; raises limits.errors.ConfigurationError if the package of its client is not installed."""
    if url == _MEMORY:
        return Counters()
    timeouts = {"socket_timeout": _STORAGE_TIMEOUT_S, "socket_connect_timeout": _STORAGE_TIMEOUT_S}
    storage = storage_from_string(f"async+{url}", wrap_exceptions=True, implementation="redispy", **timeouts)
    return cast(Storage, storage)
