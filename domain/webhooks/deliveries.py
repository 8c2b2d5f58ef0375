"""Webhook deliveries: requests, outcomes of attempts, the retry schedule, and the validation of URLs."""

import math
import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from ipaddress import ip_address
from typing import Final, NoReturn, Protocol
from urllib.parse import urlsplit
from uuid import UUID

from domain.errors import InvalidInput, Problem
from domain.webhooks.ip_ranges import IpAddress, is_public

DAY_S: Final = 86_400.0
JITTER: Final = 0.1
"""The largest share by which a wait is extended, so that deliveries that failed together are not retried together."""

MAX_URL: Final = 2048
MAX_HOST: Final = 253
_PORTS: Final = {"https": 443, "http": 80}
_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")
_BAD_HOST: Final = "must have a valid host name"


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD_LETTER = "dead_letter"
    CANCELLED = "cancelled"


class AttemptOutcome(StrEnum):
    """The outcome of one request."""

    DELIVERED = "delivered"
    """A 2xx status."""
    GONE = "gone"
    """Status 410: the partner does not want this event."""
    REFUSED = "refused"
    """Any other status. Redirects are not followed."""
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    """The host name does not resolve, the connection or the TLS check fails, or the reply is not HTTP."""
    FORBIDDEN = "forbidden"
    """The URL is not allowed, or its host resolves to an address that is not allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The `n`-th delivery (from 1) of an event to an endpoint. A redelivery has the next number."""

    id: UUID
    organization_id: UUID
    event_id: UUID
    endpoint_id: UUID
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A request to a partner. `secrets` are encrypted, the current one first; the request is signed with each."""

    event_id: UUID
    url: str
    body: bytes = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)
    sent_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookResponse:
    """A partner's response to a request, or the failure to get one.

    `code` is the HTTP status, `excerpt` the first 1 KiB of the body without NULs, and `retry_after_s` (0..86,400) the
    wait that the partner asked for.
    """

    outcome: AttemptOutcome
    latency_ms: int
    code: int | None = None
    retry_after_s: float | None = None
    excerpt: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueAttempt:
    """The state of a delivery before its next attempt.

    `message` None: nothing may be sent to this endpoint about this user. `turn_in_s` (>= 0) is the wait that the
    endpoint's rate limit requires. `next_in_s` is the time until the attempt that the last attempt scheduled, or None
    without an earlier attempt.
    """

    status: DeliveryStatus
    attempts: int
    code: int | None
    message: Message | None
    turn_in_s: float
    next_in_s: float | None


class WebhookSender(Protocol):
    async def send(self, message: Message) -> WebhookResponse:
        """Send one POST of exactly the message's bytes, within a deadline. Failures of the partner do not raise.

        Raises:
            CorruptData: a secret cannot be decrypted.
        """
        ...


def outcome_of(code: int) -> AttemptOutcome:
    """Return the outcome of an attempt with this HTTP status."""
    if HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES:
        return AttemptOutcome.DELIVERED
    return AttemptOutcome.GONE if code == HTTPStatus.GONE else AttemptOutcome.REFUSED


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Parse a Retry-After header, a number or a date, into seconds (0..86,400). Return None if it is invalid."""
    if header is None:
        return None
    try:
        return clamped(float(header))
    except ValueError:
        pass
    try:
        return clamped((parsedate_to_datetime(header) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):  # not a date, or a date without a time zone
        return None


def clamped(wait_s: float) -> float | None:
    """Limit a wait to 0..86,400 seconds. Return None for NaN."""
    return None if math.isnan(wait_s) else min(max(wait_s, 0.0), DAY_S)


def scheduled_wait_s(schedule_s: Sequence[float], made: int, chance: float) -> float | None:
    """Return the seconds between the `made`-th (>= 1) attempt and the next one, or None after the last attempt.

    `schedule_s` has the wait before each attempt. `chance` (0..1) extends the wait by up to `JITTER`.
    """
    return schedule_s[made] * (1 + JITTER * chance) if made < len(schedule_s) else None


def next_wait_s(scheduled_s: float | None, asked_s: float | None) -> float | None:
    """Return the scheduled wait, or the wait that the partner asked for (at most a day) if it is longer."""
    if scheduled_s is None or asked_s is None:
        return scheduled_s
    return max(scheduled_s, clamped(asked_s) or 0.0)


def status_after(outcome: AttemptOutcome, wait_s: float | None) -> DeliveryStatus:
    """Return the status of a pending delivery after an attempt. `wait_s` None: no attempt follows."""
    if outcome is AttemptOutcome.DELIVERED:
        return DeliveryStatus.DELIVERED
    return DeliveryStatus.DEAD_LETTER if outcome is AttemptOutcome.GONE or wait_s is None else DeliveryStatus.PENDING


def signing_secrets(
    current: bytes, previous: bytes | None, previous_until: datetime | None, now: datetime
) -> tuple[bytes, ...]:
    """Return the current secret and, until a rotation ends, the previous one."""
    if previous is None or previous_until is None or now >= previous_until:
        return (current,)
    return (current, previous)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookUrl:
    """The parts of a URL that passed `check_url`, and as text the form in which it is called.

    `host` is ASCII without brackets or final dot; `target` is the path with the query.
    """

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def check_url(url: str, *, loopback: bool, own_hosts: Collection[str]) -> WebhookUrl:
    """Validate a webhook URL and return it in normal form. The addresses of its host are checked at connection time.

    `loopback` is the development setting: it also allows http and any port, on the loopback interface only.
    `own_hosts` are the host names of this service, in lower case.

    Raises:
        InvalidInput: the URL is not allowed. The problem is on the field `url`.
    """
    if len(url) > MAX_URL:
        _refuse(f"is longer than {MAX_URL} characters")
    if not url.isprintable() or set(url) & set(" \\"):
        _refuse("must not contain spaces, control characters or backslashes")
    try:
        parts = urlsplit(url)
        name, port = parts.hostname or "", parts.port
    except ValueError:
        _refuse("is not a valid URL")
    if "@" in parts.netloc:
        _refuse("must not contain a user name or password")
    if "#" in url:
        _refuse("must not contain a fragment")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.isascii():
        _refuse("must percent-encode non-ASCII characters after the host")
    host = _host(name)
    found = WebhookUrl(scheme=parts.scheme, host=host, port=port or _PORTS.get(parts.scheme, 0), target=target)
    if not (loopback and _is_loopback(host) and parts.scheme in _PORTS):
        _check_public(found, port, own_hosts)
    return found


def _check_public(url: WebhookUrl, port: int | None, own_hosts: Collection[str]) -> None:
    if url.scheme != "https":
        _refuse("must begin with https://")
    if port not in {None, _PORTS["https"]}:
        _refuse("must not have a port other than 443")
    if url.host in own_hosts:
        _refuse("must not be a URL of this service")
    address = _address(url.host)
    if (address is None and "." not in url.host) or (address is not None and not is_public(address)):
        _refuse("must have a host on the public Internet")


def _host(name: str) -> str:
    """Return the host in ASCII and lower case, or an IP address in normal form.

    Hosts that another parser may read as a different host are rejected: letters that IDNA replaces (a full-width digit,
    a sharp s), and numbers that are not a dotted quad.
    """
    host = name.removesuffix(".")
    if "%" in host:  # an IPv6 zone, which is valid on one machine only
        _refuse(_BAD_HOST)
    if (address := _address(host)) is not None:
        return str(address)
    try:
        plain = host.encode("idna").decode()
        same = host.isascii() or plain.encode().decode("idna") == unicodedata.normalize("NFC", host)
    except UnicodeError:
        _refuse(_BAD_HOST)
    labels = plain.split(".")
    if not same or len(plain) > MAX_HOST or not all(map(_LABEL.fullmatch, labels)) or labels[-1][:1].isdigit():
        _refuse(_BAD_HOST)
    return plain


def _address(host: str) -> IpAddress | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _refuse(problem: str) -> NoReturn:
    raise InvalidInput("This URL cannot receive webhooks", (Problem("url", problem),))
