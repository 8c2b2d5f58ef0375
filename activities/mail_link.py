"""Mail a link with which a person sets a password."""

from dataclasses import dataclass
from uuid import UUID

from temporalio import activity

from domain.account_links import Mailer, MailStatus, SentMail
from domain.database import Database
from domain.tokens import new_token


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkMailInput:
    """Only the link's id: neither the address nor the token may be in a history."""

    link_id: UUID


class MailLink:
    def __init__(self, database: Database, mailer: Mailer) -> None:
        self._database = database
        self._mailer = mailer

    @activity.defn
    async def mail_link(self, wanted: LinkMailInput) -> MailStatus | None:
        """Create a token, store its hash, send the mail, and record the outcome. None: the mail is not needed any more.

        The token exists in this activity and in the mail only. If a worker crashes after the server accepted the mail
        and before the outcome is stored, the next attempt sends a second mail with another token. Both links then
        work, until one of them is used.

        Raises:
            ExternalServiceError: the mail server was unavailable, or asked to try again later.
        """
        token = new_token()
        async with self._database.statement() as uow:
            message = await uow.link_mails.prepare(wanted.link_id, token)
        if message is None:
            return None
        sent = await self._mailer.send(message)
        status = MailStatus.SENT if sent is SentMail.ACCEPTED else MailStatus.FAILED
        await self._record(wanted.link_id, status)
        return status

    @activity.defn
    async def close_link_mail(self, wanted: LinkMailInput) -> MailStatus:
        """Record that the mail failed, after the last attempt."""
        await self._record(wanted.link_id, MailStatus.FAILED)
        return MailStatus.FAILED

    async def _record(self, link_id: UUID, status: MailStatus) -> None:
        async with self._database.statement() as uow:
            await uow.link_mails.record(link_id, status)
