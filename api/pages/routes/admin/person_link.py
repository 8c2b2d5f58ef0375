"""A link with which a person sets a password: mail it, or show it once to the admin."""

from fastapi import Request, Response

from api.dependencies import PeopleScopeDep, PrincipalDep, ServicesDep
from api.pages.form_errors import REFUSALS, field_errors
from api.pages.forms import FormDep
from api.pages.link_mail import mail_text
from api.pages.rendering import render, see_other
from api.pages.routes.admin.person import found, show_person
from api.pages.routing import page_router
from api.pages.send_once import is_first
from api.pages.texts import gettext
from api.public_address import link_url, public_url
from api.schemas.base import Id
from api.security.authorization import actor_of
from api.services.account_links import create_link
from api.services.after_commit import calls_after_link
from api.workflow_engine import notify_all

person_link = page_router(prefix="/admin/people/{user_id}/link")


@person_link.post("")
async def person_link_form(  # noqa: PLR0913, PLR0917  # what FastAPI passes
    request: Request, user_id: Id, form: FormDep, services: ServicesDep, principal: PrincipalDep, scope: PeopleScopeDep
) -> Response:
    """Create a link. Only this response contains one that is shown, so it does not redirect then."""
    person, path = await found(user_id, services, scope), f"/admin/people/{user_id}"
    mailed = form.get("delivery") == "mail"
    try:
        mail = await mail_text(request, services, user_id, scope) if mailed else None
        async with services.database.transaction() as uow:
            if not await is_first(uow, request, principal, form):
                return see_other(path, done="already_sent")
            issued = await create_link(uow, user_id, scope, actor_of(principal), services, mail)
            await uow.commit()
    except REFUSALS as error:
        return await show_person(request, user_id, services, principal, scope, field_errors(error, {}))
    if issued.token is None:
        await notify_all(calls_after_link(issued.mail, services))
        return see_other(path, done="link_mailed")
    return render(
        request,
        "admin/person_link.html",
        title=gettext("A link for %(person)s") % {"person": person.name or person.email},
        person=person,
        link=issued.view,
        url=link_url(public_url(request, services.settings), issued.token),
    )
