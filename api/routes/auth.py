"""Logging in, staying logged in, logging out, and who one is."""

from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request, Response
from fastapi.security import OAuth2PasswordRequestForm

from api.dependencies import Caller, ServicesDep
from api.middleware.routing import open_router, router
from api.schemas.errors import answers
from api.schemas.people import Me, OwnPasswordChange, RefreshRequest, TokenResponse
from api.security.passwords import PasswordMatch
from api.security.rate_limits import Limits
from api.security.tokens import Principal, UserRole
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
    """OAuth2 password form: the e-mail address as `username`. Wrong address and wrong password are not told apart."""
    account = None
    address = _normal_address(form.username)
    if address:
        await limits.count_login(request, address)
        account = await services.queries.account_by_email(address)
    match = await services.passwords.verify(form.password, account.password_hash if account else None)
    refresh_token = None
    if account and match is not PasswordMatch.WRONG:
        new_hash = await _new_hash(form.password, services) if match is PasswordMatch.OUTDATED else None
        refresh_token = await _begun(account, services, new_hash)
    if account is None or refresh_token is None:
        raise Unauthenticated("The e-mail address or the password is wrong")
    await limits.remember_login(request, address)
    return _pair(account, refresh_token, services, response)


@tokens.post("/refresh", summary="Get the next pair of tokens", responses=answers(400, 401, 413, 415))
async def refresh_token(given: RefreshRequest, services: ServicesDep, response: Response) -> TokenResponse:
    """A refresh token works once. Sent a second time, also at the same moment, it ends the session it belongs to.

    Refreshing does not prolong a session beyond its time.
    """
    async with services.database.transaction() as uow:
        refreshed = await uow.refresh_tokens.rotate(given.refresh_token)
        await uow.commit()  # of a refusal too: it may have revoked the family
    if refreshed is None:
        raise Unauthenticated("A valid refresh token is required")
    return _pair(refreshed.holder, refreshed.token, services, response)


@tokens.post("/logout", status_code=204, summary="Log out", responses=answers(400, 413, 415))
async def log_out(given: RefreshRequest, services: ServicesDep, response: Response) -> None:
    """Ends the session of the refresh token, whether or not it is one. Its access token runs out by itself, soon."""
    response.headers["Cache-Control"] = "no-store"
    async with services.database.transaction() as uow:
        await uow.refresh_tokens.end(given.refresh_token)
        await uow.commit()


@me.get("/me", summary="Who am I", responses=answers(401), response_model_exclude_none=True)
async def read_me(caller: Caller) -> Me:
    return Me(
        user_id=caller.user_id,
        role=caller.role.value,
        organization_id=caller.organization_id,
        must_change_password=caller.must_change_password or None,
    )


@me.post("/me/password", summary="Change one's own password", responses=answers(400, 401, 409, 413, 415))
async def change_own_password(
    change: OwnPasswordChange, services: ServicesDep, caller: Caller, limits: Limits, response: Response
) -> TokenResponse:
    """Ends all sessions of the caller and answers the tokens of a new one.

    Refresh tokens are worthless at once, access tokens within a minute. 409 where the account has no password here,
    because another issuer vouches for its owner.
    """
    await limits.count_password_change(caller.user_id)
    account = await services.queries.account(caller.user_id)
    if account is None or account.password_hash is None:
        raise Conflict("The account has no password here")
    current, new = change.current_password.get_secret_value(), change.new_password.get_secret_value()
    if await services.passwords.verify(current, account.password_hash) is PasswordMatch.WRONG:
        raise _refused("current_password", "is not the current password")
    _check_new_password(current, new, account.email)
    password_hash = await services.passwords.hash(new)
    async with services.database.transaction() as uow:
        holder = await uow.people.change_own_password(account, password_hash)
        refresh_token = await uow.refresh_tokens.start(holder, timedelta(days=services.settings.refresh_days))
        await uow.commit()
    services.principals.forget(caller.user_id)
    if refresh_token is None:
        raise Conflict("The account was changed by another request; log in again")
    return _pair(holder, refresh_token, services, response)


def _check_new_password(current: str, new: str, email: str) -> None:
    """Raises InvalidInput for the current password, and for what is easily guessed."""
    problem = find_weakness(new, email)
    if problem is None and normalize_password(new) in spellings(current):
        problem = "must not be the current password"
    if problem is not None:
        raise _refused("new_password", problem)


def _refused(field: str, problem: str) -> InvalidInput:
    return InvalidInput("The request is not valid", (Problem(field, problem),))


def principal_of(holder: Holder) -> Principal:
    return Principal(
        user_id=holder.user_id,
        role=UserRole(holder.role),
        organization_id=holder.organization_id,
        version=holder.token_version,
        must_change_password=holder.must_change_password,
    )


def _normal_address(username: str) -> str:
    """The address in the form in which addresses are compared; "" for what is no address."""
    try:
        return normalize_email(username.strip(" "))
    except ValueError:
        return ""


async def _new_hash(password: str, services: ServicesDep) -> str | None:
    """The hash of the password's normal form; None where it has to wait for the next login."""
    try:
        return await services.passwords.hash(password)
    except TemporarilyUnavailable:
        return None


async def _begun(account: Account, services: ServicesDep, new_hash: str | None) -> str | None:
    """The refresh token of a new session; None if the account was changed while the password was checked."""
    async with services.database.transaction() as uow:
        if new_hash is not None:
            await uow.people.replace_hash(account, new_hash)
        token = await uow.refresh_tokens.start(account, timedelta(days=services.settings.refresh_days))
        await uow.commit()
    return token


def _pair(holder: Holder, refresh_token: str, services: ServicesDep, response: Response) -> TokenResponse:
    response.headers["Cache-Control"] = "no-store"
    return TokenResponse(
        access_token=services.tokens.issue(principal_of(holder)),
        expires_in=int(services.tokens.lifetime.total_seconds()),
        refresh_token=refresh_token,
    )
