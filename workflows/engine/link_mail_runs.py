"""Start the runs that mail links. Each call has a timeout of one second."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from temporalio.client import Client
from temporalio.common import (
    Priority,
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)

from activities.mail_link import LinkMailInput
from domain.account_links import LinkMail
from workflows.engine import search_attributes, static_details
from workflows.engine.calls import DEADLINE_S, EngineCalls
from workflows.link_mail import LinkMailWorkflow, workflow_id
from workflows.policies import Queue


class TemporalLinkMailRuns:
    """The port `LinkMailRuns`, implemented with a (lazy) Temporal client."""

    def __init__(
        self,
        client: Client,
        queue: str = Queue.WEBHOOKS,
        deadline_s: float = DEADLINE_S,
        *,
        breaks: bool = True,
    ) -> None:
        self._client = client
        self._queue = queue
        self._deadline_s = deadline_s
        self._calls = EngineCalls(client, deadline_s, breaks=breaks)

    async def start(self, mail: LinkMail) -> None:
        await self._calls.make(lambda: self._start(mail))

    async def live(self, mails: Sequence[LinkMail]) -> frozenset[UUID]:
        running = await self._calls.running([workflow_id(mail.id) for mail in mails])
        return frozenset(mail.id for mail in mails if workflow_id(mail.id) in running)

    async def _start(self, mail: LinkMail) -> None:
        organization = str(mail.organization_id or "platform")
        await self._client.start_workflow(
            LinkMailWorkflow.run,
            LinkMailInput(link_id=mail.id),
            id=workflow_id(mail.id),
            task_queue=self._queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            static_summary=f"Mail link {mail.id}",
            static_details=static_details.LINK_MAIL,
            search_attributes=TypedSearchAttributes(
                [SearchAttributePair(search_attributes.ORGANIZATION_ID, organization)]
            ),
            priority=Priority(fairness_key=organization),
            rpc_timeout=timedelta(seconds=self._deadline_s),
        )
