"""Set a password with a link. The token is in the link's fragment, which browsers do not send.

A script moves it to the form.
"""

from fastapi import Request, Response

from api.dependencies import ServicesDep
from api.pages.form_errors import FieldErrors
from api.pages.forms import FormDep
from api.pages.problem_texts import translated
from api.pages.rendering import render, see_other
from api.pages.routing import page_router
from api.pages.session import end_session
from api.pages.texts import gettext
from api.schemas.account_links import MAX_TOKEN_CHARS
from api.services.account_links import use_link
from domain.errors import InvalidInput

set_password = page_router(prefix="/set-password")


@set_password.get("")
async def set_password_page(request: Request) -> Response:
    return _form(request)


@set_password.post("")
async def set_password_form(request: Request, form: FormDep, services: ServicesDep) -> Response:
    """Set the password, and end the session of this browser, which may be another person's."""
    token, new = _token_in(form.get("token", "")), form.get("new_password", "")
    if new != form.get("repeated_password", ""):
        problem = gettext("The two new passwords are not the same.")
        return _form(request, token=token, errors=[("repeated_password", problem)])
    try:
        await use_link(token, new, services)
    except InvalidInput as error:
        problems = [_problem(each.field, each.problem) for each in error.problems]
        return _form(request, token=token, errors=problems)
    response = see_other("/sign-in", done="password_set")
    await end_session(request, response)
    return response


def _token_in(text: str) -> str:
    """Return the token of a link, or of its part after `#`."""
    return text.strip().rpartition("#")[2][:MAX_TOKEN_CHARS]


def _problem(field: str, problem: str) -> tuple[str, str]:
    if field == "token":
        return field, gettext(
            "This link no longer works. A link works once, for 24 hours. Ask your administrator for a new one."
        )
    return field, gettext("The new password %(problem)s.") % {"problem": translated(problem)}


def _form(request: Request, *, token: str = "", errors: FieldErrors | None = None) -> Response:
    return render(
        request,
        "set_password.html",
        400 if errors else 200,
        title=gettext("Choose a password"),
        token=token,
        errors=errors or [],
    )
