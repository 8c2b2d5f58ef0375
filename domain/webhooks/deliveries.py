"""Events for partners: what goes where, what comes of an attempt, and when the next one is due."""

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
from domain.webhooks.ip_ranges import Address, is_public

DAY_S: Final = 86_400.0
JITTER: Final = 0.1
"""By how much a wait is stretched at most, so that what failed together does not return together."""

MAX_URL: Final = 2048
MAX_HOST: Final = 253
_PORTS: Final = {"https": 443, "http": 80}
_LABEL: Final = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)")


class DeliveryStatus(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD_LETTER = "dead_letter"
    CANCELLED = "cancelled"


class AttemptOutcome(StrEnum):
    """What came of one request."""

    DELIVERED = "delivered"
    """A 2xx."""
    GONE = "gone"
    """A 410: the partner wants no more of it."""
    REFUSED = "refused"
    """Any other status; a redirect is not followed."""
    TIMED_OUT = "timed_out"
    UNREACHABLE = "unreachable"
    """No such name, no connection, no valid certificate, or no HTTP."""
    FORBIDDEN = "forbidden"
    """The URL, or an address that its host resolves to, is none that may be called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The `n`-th delivery (from 1) of an event to an endpoint; a redelivery is the next one."""

    id: UUID
    organization_id: UUID
    event_id: UUID
    endpoint_id: UUID
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One request to a partner. `secrets` are sealed, the current one first; each of them signs."""

    event_id: UUID
    url: str
    body: bytes = field(repr=False)
    secrets: tuple[bytes, ...] = field(repr=False)
    sent_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookResponse:
    """What came of a request: the status if there was one, the first 1 KiB of the body without NULs.

    `retry_after_s` (0..86,400) is what the partner asked to wait.
    """

    outcome: AttemptOutcome
    latency_ms: int
    code: int | None = None
    retry_after_s: float | None = None
    excerpt: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class DueAttempt:
    """A delivery as its next attempt finds it.

    `message` is None where nothing may be sent to this endpoint about this person. `turn_in_s` (>= 0) is how long the
    endpoint's rate limit makes the attempt wait. `next_in_s` is for when the last attempt put the next one, None where
    there was none.
    """

    status: DeliveryStatus
    attempts: int
    code: int | None
    message: Message | None
    turn_in_s: float
    next_in_s: float | None


class WebhookSender(Protocol):
    async def send(self, message: Message) -> WebhookResponse:
        """One POST of exactly the message's bytes, within a deadline. Whatever the partner does is an answer.

        Raises:
            CorruptData: a secret cannot be opened.
        """
        ...


def outcome_of(code: int) -> AttemptOutcome:
    """What an HTTP status means for an attempt."""
    if HTTPStatus.OK <= code < HTTPStatus.MULTIPLE_CHOICES:
        return AttemptOutcome.DELIVERED
    return AttemptOutcome.GONE if code == HTTPStatus.GONE else AttemptOutcome.REFUSED


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Seconds (0..86,400) that a Retry-After header asks for, as a number or a date; None where it says nothing."""
    if header is None:
        return None
    try:
        return clamped(float(header))
    except ValueError:
        pass
    try:
        return clamped((parsedate_to_datetime(header) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):  # no date, or one without a zone
        return None


def clamped(wait_s: float) -> float | None:
    """The wait within 0..86,400 seconds; None for what is no number."""
    return None if math.isnan(wait_s) else min(max(wait_s, 0.0), DAY_S)


def scheduled_wait_s(schedule_s: Sequence[float], made: int, chance: float) -> float | None:
    """Seconds between the `made`-th (>= 1) attempt and the next one; None when the schedule has no more.

    `schedule_s` holds the wait before each attempt; `chance`, 0..1, stretches it by up to `JITTER`.
    """
    return schedule_s[made] * (1 + JITTER * chance) if made < len(schedule_s) else None


def next_wait_s(scheduled_s: float | None, asked_s: float | None) -> float | None:
    """The scheduled wait, or what the partner asked for (within a day) if that is longer."""
    if scheduled_s is None or asked_s is None:
        return scheduled_s
    return max(scheduled_s, clamped(asked_s) or 0.0)


def status_after(outcome: AttemptOutcome, wait_s: float | None) -> DeliveryStatus:
    """What a pending delivery is after an attempt; `wait_s` None means that no other one follows."""
    if outcome is AttemptOutcome.DELIVERED:
        return DeliveryStatus.DELIVERED
    return DeliveryStatus.DEAD_LETTER if outcome is AttemptOutcome.GONE or wait_s is None else DeliveryStatus.PENDING


def signing_secrets(
    current: bytes, previous: bytes | None, previous_until: datetime | None, now: datetime
) -> tuple[bytes, ...]:
    """The current secret, and the one before it as long as a rotation lasts."""
    if previous is None or previous_until is None or now >= previous_until:
        return (current,)
    return (current, previous)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookUrl:
    """A URL that passed `check_url`, in its parts: an ASCII host without brackets or final dot, path with query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """What the Host header says."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"


def check_url(url: str, *, loopback: bool, own_hosts: Collection[str]) -> WebhookUrl:
    """The URL in the only form in which it is called; what its host resolves to is judged when it is connected to.

    `loopback` is the development setting: it adds http and any port, on the loopback of this machine only. `own_hosts`
    are this product's, in lower case.

    Raises:
        InvalidInput: it may not be called; the problem stands on the field `url`.
    """
    if len(url) > MAX_URL:
        _refuse(f"is longer than {MAX_URL} characters")
    if not url.isprintable() or set(url) & set(" \\"):
        _refuse("holds blanks, control characters or backslashes")
    try:
        parts = urlsplit(url)
        name, port = parts.hostname or "", parts.port
    except ValueError:
        _refuse("is no URL")
    if "@" in parts.netloc:
        _refuse("must not hold a user or a password")
    if "#" in url:
        _refuse("must not hold a fragment")
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not target.isascii():
        _refuse("must percent-encode all but ASCII after the host")
    host = _host(name)
    found = WebhookUrl(scheme=parts.scheme, host=host, port=port or _PORTS.get(parts.scheme, 0), target=target)
    if not (loopback and _is_loopback(host) and parts.scheme in _PORTS):
        _check_public(found, port, own_hosts)
    return found


def _check_public(url: WebhookUrl, port: int | None, own_hosts: Collection[str]) -> None:
    if url.scheme != "https":
        _refuse("must begin with https://")
    if port not in {None, _PORTS["https"]}:
        _refuse("must not name a port")
    if url.host in own_hosts:
        _refuse("names this service itself")
    address = _address(url.host)
    if (address is None and "." not in url.host) or (address is not None and not is_public(address)):
        _refuse("does not name a host of the public Internet")


def _host(name: str) -> str:
    """The host in ASCII and lower case, or an address in its only form.

    Refused is what another parser may read as another host: letters that IDNA would replace (a full-width digit, a
    sharp s), and numbers that are no dotted quad.
    """
    host = name.removesuffix(".")
    if "%" in host:  # an address that means something on one machine only
        _refuse("has a host that is no name")
    if (address := _address(host)) is not None:
        return str(address)
    try:
        plain = host.encode("idna").decode()
        same = host.isascii() or plain.encode().decode("idna") == unicodedata.normalize("NFC", host)
    except UnicodeError:
        _refuse("has a host that is no name")
    labels = plain.split(".")
    if not same or len(plain) > MAX_HOST or not all(map(_LABEL.fullmatch, labels)) or labels[-1][:1].isdigit():
        _refuse("has a host that is no name")
    return plain


def _address(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _refuse(problem: str) -> NoReturn:
    raise InvalidInput("This URL cannot receive webhooks", (Problem("url", problem),))
