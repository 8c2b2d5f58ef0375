"""Links with which a person sets a password: an invitation, or a reset after a forgotten password."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Final, Protocol
from uuid import UUID

LIFETIME: Final = timedelta(hours=24)
"""The time after its creation, or after its last mail, for which a link works."""
PLACEHOLDER: Final = "{token}"
"""The place of the token in the text of a mail. The text is stored without the token."""


class MailStatus(StrEnum):
    PENDING = "pending"
    SENT = "sent"
    FAILED = "failed"
    """The mail server refused the mail, or every attempt failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkMail:
    """A link that must be mailed. `organization_id` None: it is for a platform admin."""

    id: UUID
    organization_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MailText:
    """A mail in the language of the admin who requested it. `text` has the PLACEHOLDER of the token."""

    subject: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A mail to send. Its `id` is the same for each attempt, so that mail servers can recognize a second copy."""

    id: UUID
    to: str
    subject: str
    text: str = field(repr=False)


class SentMail(StrEnum):
    """The answer of a mail server that must not be asked again."""

    ACCEPTED = "accepted"
    REFUSED = "refused"


class Mailer(Protocol):
    async def send(self, message: Message) -> SentMail:
        """Send the mail.

        Raises:
            ExternalServiceError: the mail server was unavailable, or asked to try again later. It may have the mail.
        """
        ...


class LinkMails(Protocol):
    """The repository of links, as the workflow of a mail uses it."""

    async def prepare(self, link_id: UUID, token: str) -> Message | None:
        """Store the hash of a new token next to those of earlier attempts, and return the mail with the token.

        The link then works for LIFETIME. None: the mail is not pending, a newer link has replaced it, or the account
        has changed since the link was requested.
        """
        ...

    async def record(self, link_id: UUID, status: MailStatus) -> None:
        """Store how the mail ended, and delete its text."""
        ...

    async def unsent(self, *, older_than_s: float, after: UUID | None, limit: int) -> tuple[LinkMail, ...]:
        """Return links whose mail is pending since `older_than_s`, by id, after `after`."""
        ...


class LinkMailRuns(Protocol):
    """The workflow engine, for mails of links. Every call is idempotent.

    Raises:
        ExternalServiceError: the engine did not accept the call in time. Reconciliation repeats it.
    """

    async def start(self, mail: LinkMail) -> None:
        """Start the run of a mail, unless one is live."""
        ...

    async def live(self, mails: Sequence[LinkMail]) -> frozenset[UUID]:
        """Return the ids of links whose mail has a live run. The engine's index lags by seconds. At most 200 a call."""
        ...
