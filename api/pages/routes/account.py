"""Sign in, sign out, change one's own password, and the home page."""

from fastapi import Request, Response

from api.dependencies import PrincipalDep, ServicesDep
from api.pages.forms import FormDep
from api.pages.lists import filled
from api.pages.navigation import HOMES
from api.pages.problem_texts import translated
from api.pages.rendering import render, see_other
from api.pages.routing import page_router
from api.pages.session import end_session, local_path, session_of, set_cookie
from api.pages.texts import gettext, language_names, languages
from api.security.authorization import caller_role
from api.security.rate_limits import Limits
from api.services.sign_in import StartSession, change_password, sign_in
from domain.errors import InvalidInput, Unauthenticated
from persistence.queries.views import Holder
from persistence.request_database import RequestUnitOfWork

account = page_router()


@account.get("/")
async def home_page(request: Request, principal: PrincipalDep) -> Response:
    """Redirect to the home page of the role. A message about what the user has just done goes along."""
    home = HOMES.get(caller_role(principal))
    return (
        see_other(home, **filled(request.query_params, ("done",)))
        if home
        else render(request, "home.html", title=gettext("Home"), principal=principal)
    )


@account.get("/sign-in")
async def sign_in_page(request: Request, next: str = "") -> Response:  # noqa: A002  # the name of the query parameter
    if session_of(request) is not None:
        return see_other("/")
    return sign_in_view(request, target=local_path(next))


@account.post("/sign-in")
async def sign_in_form(request: Request, form: FormDep, services: ServicesDep, limits: Limits) -> Response:
    """Start a session with a new token, and end the previous session of this browser."""
    email, target = form.get("email", ""), local_path(form.get("next", ""))
    try:
        _account, token = await sign_in(
            request, email, form.get("password", ""), services, limits, session_starter(request)
        )
    except Unauthenticated:
        problem = gettext("The e-mail address or the password is wrong.")
        return sign_in_view(request, 401, target=target, email=email, errors=[("email", problem)])
    response = see_other(target or "/")
    set_cookie(request, response, token)
    return response


@account.post("/sign-out")
async def sign_out_form(request: Request) -> Response:
    response = see_other("/sign-in", done="signed_out")
    await end_session(request, response)
    return response


@account.get("/account/language")
async def language_page(request: Request) -> Response:
    session = session_of(request)
    return render(
        request,
        "language.html",
        title=gettext("Language"),
        chosen=(session and session.view.language) or "",
        names=language_names(),
    )


@account.post("/account/language")
async def language_form(form: FormDep, services: ServicesDep, principal: PrincipalDep) -> Response:
    """Store the language of the user's pages. Any other value follows the browser."""
    language = form.get("language")
    async with services.database.transaction() as uow:
        await uow.people.choose_language(principal.user_id, language if language in languages() else None)
        await uow.commit()
    return see_other("/account/language", done="language_chosen")


@account.get("/account/password")
async def password_page(request: Request) -> Response:
    return _password_form(request)


@account.post("/account/password")
async def password_form(
    request: Request, form: FormDep, services: ServicesDep, principal: PrincipalDep, limits: Limits
) -> Response:
    """Change the password, end all sessions of the user and start a new one in this browser."""
    new = form.get("new_password", "")
    if new != form.get("repeated_password", ""):
        return _password_form(request, [("repeated_password", gettext("The two new passwords are not the same."))])
    try:
        _holder, token = await change_password(
            principal, form.get("current_password", ""), new, services, limits, session_starter(request)
        )
    except InvalidInput as error:
        return _password_form(request, [_password_problem(each.field, each.problem) for each in error.problems])
    response = see_other("/", done="password_changed")
    set_cookie(request, response, token)
    return response


def _password_problem(field: str, problem: str) -> tuple[str, str]:
    if field == "current_password":
        return field, gettext("This is not your current password.")
    return field, gettext("The new password %(problem)s.") % {"problem": translated(problem)}


def sign_in_view(
    request: Request, status: int = 200, *, target: str, email: str = "", errors: list[tuple[str, str]] | None = None
) -> Response:
    return render(
        request,
        "sign_in.html",
        status,
        title=gettext("Sign in"),
        target=target,
        email=email,
        errors=errors or [],
        has_provider=request.app.state.services.oidc is not None,
    )


def _password_form(request: Request, errors: list[tuple[str, str]] | None = None) -> Response:
    session = session_of(request)
    return render(
        request,
        "password.html",
        400 if errors else 200,
        title=gettext("Change your password"),
        errors=errors or [],
        forced=session is not None and session.principal.must_change_password,
    )


def session_starter(request: Request) -> StartSession:
    """Return a function that starts a session and ends the previous one of this browser."""
    previous = session_of(request)

    async def start(uow: RequestUnitOfWork, holder: Holder) -> str | None:
        if previous is not None:
            await uow.web_sessions.end(previous.token)
        return await uow.web_sessions.start(holder)

    return start
