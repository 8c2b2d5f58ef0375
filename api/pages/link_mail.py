"""The mail with a link, in the language of the request of the admin who sends it."""

from uuid import UUID

from fastapi import Request

from api.dependencies import Services
from api.pages.texts import gettext
from api.public_address import link_url, public_url
from api.services.use_cases import require
from domain.account_links import PLACEHOLDER, MailText
from persistence.queries.people_views import PeopleScope, UserView


async def mail_text(request: Request, services: Services, user_id: UUID, scope: PeopleScope) -> MailText:
    """Return the mail: an invitation for a person without a password, a new password otherwise.

    Raises:
        NotFound: the account does not exist or is outside the scope.
    """
    person = require(await services.people.queries.user(user_id, scope), "No such user")
    account = await services.queries.account(user_id)
    names = {"organization": await _sender(person, services), "email": person.email}
    if account is not None and account.password_hash is None:
        subject = gettext("%(organization)s invites you") % names
        reason = gettext("%(organization)s has created an account for your assessments. Choose a password:") % names
        end = gettext("You then sign in with this password and the address %(email)s.") % names
    else:
        subject = gettext("A new password for %(organization)s") % names
        reason = gettext("Choose a new password for your account %(email)s at %(organization)s:") % names
        end = gettext("Your old password works until then. If you did not ask for this, tell your administrator.")
    url = link_url(public_url(request, services.settings), PLACEHOLDER)
    limits = gettext("The link works once, for 24 hours after this mail was sent.")
    return MailText(subject=subject, text=f"{reason}\n\n{url}\n\n{limits}\n\n{end}\n")


async def _sender(person: UserView, services: Services) -> str:
    """Return the name of the person's organization."""
    if person.organization_id is None:
        return "microcred"
    organization = await services.people.queries.organization(person.organization_id)
    return organization.name if organization else "microcred"
