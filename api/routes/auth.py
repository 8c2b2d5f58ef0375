"""Log in, refresh tokens, log out, read and change one's own account."""

from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request, Response
from fastapi.security import OAuth2PasswordRequestForm

from api.dependencies import PeopleScopeDep, PrincipalDep, ServicesDep
from api.middleware.routing import open_router, router
from api.schemas.errors import answers
from api.schemas.people import Me, OwnPasswordChange, RefreshRequest, TokenResponse
from api.security.passwords import PasswordMatch
from api.security.rate_limits import Limits
from api.security.tokens import Principal, UserRole, invalid_token
from domain.email_addresses import normalize_email
from domain.errors import Conflict, InvalidInput, Problem, TemporarilyUnavailable, Unauthenticated
from domain.passwords import find_weakness, normalize_password, spellings
from persistence.queries.views import Account, Holder

tokens = open_router(prefix="/auth", tags=["Authentication"])
me = router(tags=["Authentication"])


@tokens.post("/token", summary="Log in", responses=answers(400, 401, 413, 415))
async def create_token(
    request: Request,
    form: Annotated[OAuth2PasswordRequestForm, Depends()],
    services: ServicesDep,
    limits: Limits,
    response: Response,
) -> TokenResponse:
    """OAuth2 password form, e-mail address as `username`. A wrong address and a wrong password look the same."""
    account = None
    address = _normal_email(form.username)
    if address:
        await limits.count_login(request, address)
        account = await services.queries.account_by_email(address)
    match = await services.passwords.verify(form.password, account.password_hash if account else None)
    refresh_token = None
    if account and match is not PasswordMatch.WRONG:
        new_hash = await _new_hash(form.password, services) if match is PasswordMatch.OUTDATED else None
        refresh_token = await _start_session(account, services, new_hash)
    if account is None or refresh_token is None:
        raise Unauthenticated("The e-mail address or the password is wrong")
    await limits.remember_login(request, address)
    return _token_response(account, refresh_token, services, response)


@tokens.post("/refresh", summary="Get the next pair of tokens", responses=answers(400, 401, 413, 415))
async def refresh_token(body: RefreshRequest, services: ServicesDep, response: Response) -> TokenResponse:
    """A refresh token works once. A second use, also a concurrent one, ends its session.

    Refreshing does not extend the lifetime of the session.
    """
    async with services.database.transaction() as uow:
        refreshed = await uow.refresh_tokens.rotate(body.refresh_token)
        await uow.commit()  # also after a refusal, which may have revoked the session
    if refreshed is None:
        raise Unauthenticated("A valid refresh token is required")
    return _token_response(refreshed.holder, refreshed.token, services, response)


@tokens.post("/logout", status_code=204, summary="Log out", responses=answers(400, 413, 415))
async def log_out(body: RefreshRequest, services: ServicesDep, response: Response) -> None:
    """End the session of the refresh token. An invalid token is ignored. The access token is valid until it expires."""
    response.headers["Cache-Control"] = "no-store"
    async with services.database.transaction() as uow:
        await uow.refresh_tokens.end(body.refresh_token)
        await uow.commit()


@me.get("/me", summary="Read my account", responses=answers(401, 403), response_model_exclude_none=True)
async def read_me(principal: PrincipalDep, services: ServicesDep, scope: PeopleScopeDep) -> Me:
    account = await services.people.queries.user(principal.user_id, scope)
    if account is None:  # erased after its token was checked
        raise invalid_token()
    return Me(
        user_id=principal.user_id,
        role=principal.role.value,
        organization_id=principal.organization_id,
        name=account.name,
        external_id=account.external_id,
        must_change_password=principal.must_change_password or None,
    )


@me.post("/me/password", summary="Change my password", responses=answers(400, 401, 403, 409, 413, 415))
async def change_own_password(
    change: OwnPasswordChange, services: ServicesDep, principal: PrincipalDep, limits: Limits, response: Response
) -> TokenResponse:
    """Ends all sessions of the user and returns the tokens of a new session.

    Refresh tokens become invalid at once, access tokens within a minute. 409 if the account has no password here
    because another issuer authenticates the user.
    """
    await limits.count_password_change(principal.user_id)
    account = await services.queries.account(principal.user_id)
    if account is None:  # disabled or erased after its token was checked
        raise invalid_token()
    if account.password_hash is None:
        raise Conflict("The account has no password here")
    current, new = change.current_password.get_secret_value(), change.new_password.get_secret_value()
    if await services.passwords.verify(current, account.password_hash) is PasswordMatch.WRONG:
        raise _invalid("current_password", "is not the current password")
    _check_new_password(current, new, account.email)
    password_hash = await services.passwords.hash(new)
    async with services.database.transaction() as uow:
        holder = await uow.people.change_own_password(account, password_hash)
        refresh_token = await uow.refresh_tokens.start(holder, timedelta(days=services.settings.refresh_days))
        await uow.commit()
    services.principals.forget(principal.user_id)
    if refresh_token is None:
        raise Conflict("The account was changed by another request; log in again")
    return _token_response(holder, refresh_token, services, response)


def _check_new_password(current: str, new: str, email: str) -> None:
    """Raise InvalidInput if the new password is the current one or easy to guess."""
    problem = find_weakness(new, email)
    if problem is None and normalize_password(new) in spellings(current):
        problem = "must not be the current password"
    if problem is not None:
        raise _invalid("new_password", problem)


def _invalid(field: str, problem: str) -> InvalidInput:
    return InvalidInput("The request is not valid", (Problem(field, problem),))


def principal_of(holder: Holder) -> Principal:
    return Principal(
        user_id=holder.user_id,
        role=UserRole(holder.role),
        organization_id=holder.organization_id,
        version=holder.token_version,
        must_change_password=holder.must_change_password,
    )


def _normal_email(username: str) -> str:
    """Return the address in its normal form; "" if it is not an address."""
    try:
        return normalize_email(username.strip(" "))
    except ValueError:
        return ""


async def _new_hash(password: str, services: ServicesDep) -> str | None:
    """Hash the password's normal form. None: the hasher is overloaded, and the next login tries again."""
    try:
        return await services.passwords.hash(password)
    except TemporarilyUnavailable:
        return None


async def _start_session(account: Account, services: ServicesDep, new_hash: str | None) -> str | None:
    """Start a session and return its refresh token; None if the account changed during the password check."""
    async with services.database.transaction() as uow:
        if new_hash is not None:
            await uow.people.replace_hash(account, new_hash)
        token = await uow.refresh_tokens.start(account, timedelta(days=services.settings.refresh_days))
        await uow.commit()
    return token


def _token_response(holder: Holder, refresh_token: str, services: ServicesDep, response: Response) -> TokenResponse:
    response.headers["Cache-Control"] = "no-store"
    return TokenResponse(
        access_token=services.tokens.issue(principal_of(holder)),
        expires_in=int(services.tokens.lifetime.total_seconds()),
        refresh_token=refresh_token,
    )
