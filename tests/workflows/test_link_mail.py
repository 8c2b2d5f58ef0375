"""`LinkMailWorkflow` on a time-skipping server, with the real activities and a real mail server."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from activities.adapters.mail.smtp import SmtpMailer
from activities.failures import FailureInterceptor
from activities.mail_link import LinkMailInput, MailLink
from domain.account_links import MailStatus
from persistence.database import create_engine, in_autocommit
from persistence.tables import AccountLinkRow
from persistence.unit_of_work import SqlDatabase, sessions
from tests.support.account_links import a_link
from tests.support.builders import a_user, an_organization
from tests.support.databases import settings_of
from tests.support.mail_server import Inbox, mail_server
from tests.workflows.sandbox import STRICT
from tests.workflows.waiting import PATIENCE_S
from workflows.engine.workers import WORKFLOW_INTERCEPTORS
from workflows.link_mail import LinkMailResult, LinkMailWorkflow, workflow_id
from workflows.policies import MAIL_ATTEMPTS, Queue


@dataclass
class Post:
    """Mails links with a worker of its own."""

    environment: WorkflowEnvironment
    session: AsyncSession
    inbox: Inbox
    database: SqlDatabase

    async def link(self) -> UUID:
        return await a_link(self.session, await a_user(self.session, await an_organization(self.session)))

    async def mail(self, link_id: UUID) -> WorkflowHandle[LinkMailWorkflow, LinkMailResult]:
        queue = f"{Queue.WEBHOOKS}-{uuid4()}"
        mail_link = MailLink(self.database, SmtpMailer(self.inbox.settings()))
        async with (
            Worker(
                self.environment.client,
                task_queue=queue,
                workflows=[LinkMailWorkflow],
                workflow_runner=STRICT,
                activities=[mail_link.mail_link, mail_link.close_link_mail],
                interceptors=[FailureInterceptor(), *WORKFLOW_INTERCEPTORS],
                max_cached_workflows=0,
            ),
            asyncio.timeout(PATIENCE_S),
        ):
            handle = await self.environment.client.start_workflow(
                LinkMailWorkflow.run, LinkMailInput(link_id=link_id), id=workflow_id(link_id), task_queue=queue
            )
            await handle.result()
        return handle

    async def status(self, link_id: UUID) -> str | None:
        return await self.session.scalar(select(AccountLinkRow.mail_status).where(AccountLinkRow.id == link_id))


@pytest.fixture
async def post(environment: WorkflowEnvironment, clean_database: str) -> AsyncIterator[Post]:
    engine = create_engine(settings_of(clean_database))
    async with sessions(in_autocommit(engine))() as session:
        with mail_server() as inbox:
            yield Post(environment, session, inbox, SqlDatabase(engine))
    await engine.dispose()


async def test_a_mail_is_sent_and_the_history_has_neither_address_nor_token(post: Post) -> None:
    link_id = await post.link()

    handle = await post.mail(link_id)

    [mail] = post.inbox.mails
    token = mail.get_content().partition("#")[2].strip()
    history = (await handle.fetch_history()).to_json()
    assert await handle.result() == LinkMailResult(status=MailStatus.SENT)
    assert len(token) == 43
    assert [each for each in (token, "@example.org", "set-password") if each in history] == []


async def test_a_mail_is_tried_again_while_the_server_asks_for_it(post: Post) -> None:
    link_id = await post.link()
    post.inbox.replies = ["451 try again later"] * 3

    handle = await post.mail(link_id)

    assert await handle.result() == LinkMailResult(status=MailStatus.SENT)
    assert (len(post.inbox.mails), await post.status(link_id)) == (1, "sent")


async def test_a_mail_that_no_attempt_could_send_has_failed(post: Post) -> None:
    link_id = await post.link()
    post.inbox.replies = ["451 try again later"] * MAIL_ATTEMPTS.maximum_attempts

    handle = await post.mail(link_id)

    assert await handle.result() == LinkMailResult(status=MailStatus.FAILED)
    assert (post.inbox.mails, post.inbox.replies, await post.status(link_id)) == ([], [], "failed")


async def test_a_replaced_link_is_not_mailed(post: Post) -> None:
    handle = await post.mail(uuid4())

    assert await handle.result() == LinkMailResult(status=None)
    assert post.inbox.mails == []
