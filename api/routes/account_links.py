"""Links with which a person sets a password: an admin creates them, the person uses them."""

from fastapi import Request, Response

from api.dependencies import PeopleScopeDep, ServicesDep
from api.idempotency import CommandResult, IdempotencyDep
from api.middleware.routing import router
from api.pages.link_mail import mail_text
from api.public_address import link_url, public_url
from api.schemas.account_links import AccountLink, LinkRequest, LinkUse, NewAccountLink
from api.schemas.base import Id
from api.schemas.errors import answers
from api.services.account_links import create_link as create_account_link
from api.services.account_links import use_link as use_account_link
from api.services.after_commit import calls_after_link
from domain.errors import NotFound
from persistence.repositories.account_links import LinkView
from persistence.request_database import RequestUnitOfWork

links = router(prefix="/users/{user_id}/link", tags=["People"])
used_links = router(prefix="/auth", tags=["Authentication"])


@links.post(
    "",
    status_code=201,
    response_model=NewAccountLink,
    summary="Create a link with which the user sets a password",
    responses=answers(400, 401, 403, 404, 409, 410, 413, 415, 422),
)
async def create_link(
    user_id: Id, body: LinkRequest, request: Request, scope: PeopleScopeDep, command: IdempotencyDep
) -> Response:
    """For an invitation, or after a forgotten password. It works once, for 24 hours, and replaces an earlier link.

    Only this response shows the link. With `delivery: mail` it is sent to the user instead. 409 if the account is
    disabled, or if this installation sends no mails.
    """
    base, mailed = public_url(request, command.services.settings), body.delivery == "mail"
    # Read before the transaction, because a request must not hold one connection and wait for a second one.
    mail = await mail_text(request, command.services, user_id, scope) if mailed else None

    async def create(uow: RequestUnitOfWork) -> CommandResult:
        issued = await create_account_link(uow, user_id, scope, command.actor, command.services, mail)
        shown = {"token": issued.token, "url": link_url(base, issued.token)} if issued.token else {}
        return CommandResult(
            response=NewAccountLink.read(issued.view, delivery=_delivery(issued.view), **shown),
            after_commit=calls_after_link(issued.mail, command.services),
        )

    return await command.execute(create)


@links.get("", summary="Read the state of the user's newest link", responses=answers(400, 401, 403, 404))
async def read_link(user_id: Id, services: ServicesDep, scope: PeopleScopeDep) -> AccountLink:
    """Without the link itself. 404 if the user never had a link, or has used it."""
    if await services.people.queries.user(user_id, scope) is None:
        raise NotFound("No such user")
    async with services.database.transaction() as uow:
        view = await uow.account_links.of(user_id)
    if view is None:
        raise NotFound("The user has no link")
    return AccountLink.read(view, delivery=_delivery(view))


@used_links.post("/link", status_code=204, summary="Set a password with a link", responses=answers(400, 413, 415))
async def use_link(body: LinkUse, services: ServicesDep, response: Response) -> None:
    """`token` is the part of the link after `#`. Ends all sessions of the user, who can then log in.

    400 with the field `token` if the link was used or replaced, has expired or never existed.
    """
    response.headers["Cache-Control"] = "no-store"
    await use_account_link(body.token, body.new_password.get_secret_value(), services)


def _delivery(view: LinkView) -> str:
    return "show" if view.mail_status is None else "mail"
