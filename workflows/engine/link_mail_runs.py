"""Start the runs that mail links."""

from collections.abc import Sequence
from uuid import UUID

from temporalio.common import Priority

from activities.mail_link import LinkMailInput
from domain.account_links import LinkMail
from workflows.engine import static_details
from workflows.engine.runs import TemporalRuns, of_organization
from workflows.link_mail import LinkMailWorkflow, workflow_id
from workflows.policies import Queue


class TemporalLinkMailRuns(TemporalRuns):
    """The port `LinkMailRuns`."""

    default_queue = Queue.WEBHOOKS

    async def start(self, mail: LinkMail) -> None:
        organization = str(mail.organization_id or "platform")
        await self._ensure(
            LinkMailWorkflow.run,
            LinkMailInput(link_id=mail.id),
            id_=workflow_id(mail.id),
            summary=f"Mail link {mail.id}",
            details=static_details.LINK_MAIL,
            attributes=of_organization(organization),
            priority=Priority(fairness_key=organization),
        )

    async def live(self, mails: Sequence[LinkMail]) -> frozenset[UUID]:
        return await self._live({mail.id: workflow_id(mail.id) for mail in mails})
