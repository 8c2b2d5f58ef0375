"""Mailing a link: what is stored at each step, and what a retry does."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.testing import ActivityEnvironment

from activities.mail_link import LinkMailInput, MailLink
from activities.reconcile import Reconcile, SweepInput, Swept
from domain.account_links import LinkMail, MailStatus, Message, SentMail
from domain.database import Database
from domain.errors import ExternalServiceError
from domain.sweeps import Concern
from domain.tokens import hash_of
from persistence.tables import AccountLinkRow, UserRow
from tests.support.account_links import a_link
from tests.support.builders import a_user, an_organization
from tests.support.fake_engine import (
    RecordingAppeals,
    RecordingCatalogRuns,
    RecordingDeliveries,
    RecordingErasures,
    RecordingLinkMails,
    RecordingRescores,
    RecordingRuns,
)

NOW = datetime.now(UTC)
TOKEN = re.compile(r"#([\w-]{43})")


@dataclass
class ScriptedMailer:
    """A fake of the port `Mailer`: gives the answers in order, then accepts. It records each mail that it was given."""

    answers: list[SentMail | Exception] = field(default_factory=list)
    mails: list[Message] = field(default_factory=list)

    async def send(self, message: Message) -> SentMail:
        self.mails.append(message)
        answer = self.answers.pop(0) if self.answers else SentMail.ACCEPTED
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def tokens(self) -> list[str]:
        return [found[1] for mail in self.mails if (found := TOKEN.search(mail.text))]


@pytest.fixture
def mailer() -> ScriptedMailer:
    return ScriptedMailer()


@pytest.fixture
def mail_link(database: Database, mailer: ScriptedMailer) -> MailLink:
    return MailLink(database, mailer)


@pytest.fixture
async def user_id(session: AsyncSession) -> UUID:
    return await a_user(session, await an_organization(session))


async def run(mail_link: MailLink, link_id: UUID) -> MailStatus | None:
    status: MailStatus | None = await ActivityEnvironment().run(mail_link.mail_link, LinkMailInput(link_id=link_id))
    return status


async def row(session: AsyncSession, link_id: UUID) -> AccountLinkRow:
    found = select(AccountLinkRow).where(AccountLinkRow.id == link_id)
    return (await session.scalars(found, execution_options={"populate_existing": True})).one()


async def test_the_mail_has_the_token_and_the_database_its_hash(
    session: AsyncSession, mail_link: MailLink, mailer: ScriptedMailer, user_id: UUID
) -> None:
    link_id = await a_link(session, user_id)

    status = await run(mail_link, link_id)

    stored = await row(session, link_id)
    assert status is MailStatus.SENT
    assert stored.token_hashes == [hash_of(token) for token in mailer.tokens]
    assert (stored.mail, stored.mail_status, stored.mail_ended_at is not None) == (None, "sent", True)
    assert (mailer.mails[0].id, mailer.mails[0].to) == (link_id, f"{user_id}@example.org")


async def test_the_24_hours_begin_when_the_mail_is_sent(
    session: AsyncSession, mail_link: MailLink, user_id: UUID
) -> None:
    link_id = await a_link(session, user_id, expires_at=NOW + timedelta(minutes=1))

    await run(mail_link, link_id)

    assert (await row(session, link_id)).expires_at > NOW + timedelta(hours=23)


async def test_a_sent_mail_is_not_sent_again(
    session: AsyncSession, mail_link: MailLink, mailer: ScriptedMailer, user_id: UUID
) -> None:
    link_id = await a_link(session, user_id)

    statuses = [await run(mail_link, link_id) for _ in range(2)]

    assert (statuses, len(mailer.mails)) == ([MailStatus.SENT, None], 1)


async def test_the_links_of_all_attempts_work_when_the_outcome_of_the_first_is_unknown(
    session: AsyncSession, mail_link: MailLink, mailer: ScriptedMailer, user_id: UUID
) -> None:
    link_id = await a_link(session, user_id)
    mailer.answers = [ExternalServiceError("The connection broke after the mail was sent")]
    with pytest.raises(ExternalServiceError):
        await run(mail_link, link_id)

    await run(mail_link, link_id)

    assert len(set(mailer.tokens)) == 2
    assert (await row(session, link_id)).token_hashes == [hash_of(token) for token in mailer.tokens]


async def test_a_refused_mail_has_failed(
    session: AsyncSession, mail_link: MailLink, mailer: ScriptedMailer, user_id: UUID
) -> None:
    link_id = await a_link(session, user_id)
    mailer.answers = [SentMail.REFUSED]

    assert await run(mail_link, link_id) is MailStatus.FAILED

    assert (await row(session, link_id)).mail_status == "failed"


async def test_a_mail_without_an_accepted_attempt_is_closed_as_failed(
    session: AsyncSession, mail_link: MailLink, user_id: UUID
) -> None:
    link_id = await a_link(session, user_id)

    await ActivityEnvironment().run(mail_link.close_link_mail, LinkMailInput(link_id=link_id))

    assert (await row(session, link_id)).mail_status == "failed"


@pytest.mark.parametrize("change", [{"status": "disabled"}, {"status": "erasing"}, {"token_version": 1}])
async def test_a_changed_account_gets_no_mail(
    session: AsyncSession, mail_link: MailLink, mailer: ScriptedMailer, user_id: UUID, change: dict[str, object]
) -> None:
    link_id = await a_link(session, user_id)
    await session.execute(update(UserRow).where(UserRow.id == user_id).values(**change))

    assert await run(mail_link, link_id) is None

    assert mailer.mails == []


async def test_an_unknown_link_needs_no_mail(mail_link: MailLink) -> None:
    assert await run(mail_link, uuid4()) is None


async def test_reconciliation_starts_the_mail_that_no_run_sends(
    session: AsyncSession, database: Database, user_id: UUID
) -> None:
    runs, before = RecordingLinkMails(), NOW - timedelta(minutes=1)
    link_id = await a_link(session, user_id, created_at=before)
    for status in ("sent", "failed", None):
        other = await a_user(session, await an_organization(session))
        await a_link(session, other, created_at=before, mail_status=status)
    others = RecordingRuns(), RecordingDeliveries(), RecordingErasures(), RecordingCatalogRuns(), RecordingAppeals()
    reconcile = Reconcile(database, *others, RecordingRescores(), runs, minute=lambda: -1)

    swept: Swept = await ActivityEnvironment().run(reconcile.reconcile, SweepInput(concern=Concern.LINK_MAILS))

    assert (swept.started, runs.started) == (1, [link_id])
    assert await runs.live([LinkMail(id=link_id, organization_id=None)]) == {link_id}
