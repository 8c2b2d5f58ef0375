"""Invite a person or let them set a new password: create a link, mail or show it, and use it."""

from dataclasses import dataclass, field
from uuid import UUID

from api.dependencies import Services
from domain.account_links import LinkMail, MailText
from domain.errors import Conflict, InvalidInput, Problem
from domain.passwords import find_weakness
from domain.tokens import new_token
from persistence.queries.people_views import PeopleScope
from persistence.queries.views import Actor
from persistence.repositories.account_links import LinkView
from persistence.request_database import RequestUnitOfWork


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedLink:
    """`token` None: the link is mailed, and the token is created when the mail is sent. `mail` is None otherwise."""

    view: LinkView
    token: str | None = field(repr=False)
    mail: LinkMail | None = None


async def create_link(  # noqa: PLR0913, PLR0917  # the person, the admin and what the link needs
    uow: RequestUnitOfWork,
    user_id: UUID,
    scope: PeopleScope,
    admin: Actor,
    services: Services,
    mail: MailText | None = None,
) -> IssuedLink:
    """Create a link that replaces the person's earlier one. With `mail` it is mailed. The caller commits.

    After the commit, the caller starts the run of the mail.

    Raises:
        NotFound: the account does not exist or is outside the scope.
        Erased: the user is being erased.
        InvalidInput: the account is the admin's own.
        Conflict: the account is disabled, or this installation sends no mails.
    """
    if user_id == admin.id:
        raise _invalid("user_id", "is your own account: change your password with POST /me/password")
    if mail is not None:
        if not services.settings.may_mail:
            raise Conflict("This installation sends no mails: SMTP_URL is not set")
        view = await uow.account_links.create(user_id, scope, admin, mail)
        return IssuedLink(view=view, token=None, mail=await uow.account_links.mail(view.link_id))
    token = new_token()
    return IssuedLink(view=await uow.account_links.create(user_id, scope, admin, token), token=token)


async def use_link(token: str, password: str, services: Services) -> None:
    """Set the password of the link's account, and end all sessions and links of the user.

    The password is hashed in every case, so that all answers take the same time.

    Raises:
        InvalidInput: the link does not work, or the password is easy to guess.
        TemporarilyUnavailable: too many passwords are being hashed.
    """
    async with services.database.transaction() as uow:
        account = await uow.account_links.account(token)
    if problem := find_weakness(password, account.email if account else ""):
        raise _invalid("new_password", problem)
    password_hash = await services.passwords.hash(password)
    if account is None:
        raise link_does_not_work()
    try:
        async with services.database.transaction() as uow:
            await uow.people.change_own_password(account, password_hash)
            if not await uow.account_links.use(account.user_id, token):
                raise link_does_not_work()
            await uow.commit()
    except Conflict:  # the account was changed by another request, which may have used this link
        raise link_does_not_work() from None
    services.principals.forget(account.user_id)


def link_does_not_work() -> InvalidInput:
    """Return the error for an unknown, used, replaced or expired link. It does not say which."""
    return _invalid("token", "does not work any more: a link works once and for 24 hours")


def _invalid(field: str, problem: str) -> InvalidInput:
    return InvalidInput("The request is not valid", (Problem(field, problem),))
