"""The workflow that mails a link with which a person sets a password."""

from dataclasses import dataclass
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from activities.mail_link import LinkMailInput, MailLink
    from domain.account_links import MailStatus
    from workflows.policies import activity_options, versioning


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkMailResult:
    """`status` None: the mail was not needed any more, because a newer link or a change of the account replaced it."""

    status: MailStatus | None


@workflow.defn(versioning_behavior=versioning("LinkMailWorkflow"))
class LinkMailWorkflow:
    """Sends the mail, with retries, and records that it failed after the last one.

    Id: `link-mail-{link_id}`; reuse policy ALLOW_DUPLICATE, conflict policy USE_EXISTING, because Postgres decides.
    Signals, queries, updates: none.
    End: when the mail is sent, or has failed. The run itself does not fail for that.
    """

    @workflow.run
    async def run(self, mail: LinkMailInput) -> LinkMailResult:
        workflow.set_current_details("Sending the mail.\n\nAction: none. *Pending Activities* shows failed attempts.")
        try:
            status = await workflow.execute_activity_method(
                MailLink.mail_link, mail, **activity_options("mail_link", "Send the mail")
            )
        except ActivityError as error:
            if is_cancelled_exception(error):
                raise
            status = await workflow.execute_activity_method(
                MailLink.close_link_mail, mail, **activity_options("close_link_mail", "Record that the mail failed")
            )
        workflow.set_current_details(f"Mail: {status or 'not needed any more'}.\n\nAction: none.")
        return LinkMailResult(status=status)


def workflow_id(link_id: UUID) -> str:
    return f"link-mail-{link_id}"
