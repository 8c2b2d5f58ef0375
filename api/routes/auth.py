"""Logging in, staying logged in, logging out, and who one is."""

from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Response
from fastapi.security import OAuth2PasswordRequestForm

from api.rate_limits import Limits
from api.routing import open_router, router
from api.schemas.errors import answers
from api.schemas.people import MAX_EMAIL_CHARS, Me, RefreshRequest, TokenResponse
from api.services import Caller, Use
from api.tokens import Principal, UserRole
from domain.errors import Unauthenticated
from persistence.views import Account, Holder

tokens = open_router(prefix="/auth", tags=["Authentication"])
me = router(tags=["Authentication"])


@tokens.post("/token", summary="Log in", responses=answers(400, 401, 413, 415))
async def create_token(
    form: Annotated[OAuth2PasswordRequestForm, Depends()], services: Use, limits: Limits, response: Response
) -> TokenResponse:
    """OAuth2 password form: the e-mail address as `username`. Wrong address and wrong password are not told apart."""
    await limits.count_login(form.username)
    account = await _account(form.username, services)
    right = await services.passwords.verify(form.password, account.password_hash if account else None)
    refresh_token = await _begun(account, services) if account and right else None
    if account is None or refresh_token is None:
        raise Unauthenticated("The e-mail address or the password is wrong")
    return _pair(account, refresh_token, services, response)


@tokens.post("/refresh", summary="Get the next pair of tokens", responses=answers(400, 401, 413, 415))
async def refresh_token(given: RefreshRequest, services: Use, response: Response) -> TokenResponse:
    """A refresh token works once. Sent a second time, also at the same moment, it ends the session it belongs to.

    Refreshing does not prolong a session beyond its time.
    """
    async with services.people.intake() as unit:
        refreshed = await unit.refresh_tokens.rotate(given.refresh_token)
        await unit.commit()  # of a refusal too: it may have revoked the family
    if refreshed is None:
        raise Unauthenticated("A valid refresh token is required")
    return _pair(refreshed.holder, refreshed.token, services, response)


@tokens.post("/logout", status_code=204, summary="Log out", responses=answers(400, 413, 415))
async def log_out(given: RefreshRequest, services: Use, response: Response) -> None:
    """Ends the session of the refresh token, whether or not it is one. Its access token runs out by itself, soon."""
    response.headers["Cache-Control"] = "no-store"
    async with services.people.intake() as unit:
        await unit.refresh_tokens.end(given.refresh_token)
        await unit.commit()


@me.get("/me", summary="Who am I", responses=answers(401), response_model_exclude_none=True)
async def read_me(caller: Caller) -> Me:
    return Me(user_id=caller.user_id, role=caller.role.value, organization_id=caller.organization_id)


def principal_of(holder: Holder) -> Principal:
    return Principal(
        user_id=holder.user_id,
        role=UserRole(holder.role),
        organization_id=holder.organization_id,
        version=holder.token_version,
    )


async def _account(email: str, services: Use) -> Account | None:
    """None too for what cannot be an address, and what PostgreSQL would refuse as text."""
    if len(email) > MAX_EMAIL_CHARS or not email.isprintable():
        return None
    return await services.queries.account_by_email(email)


async def _begun(account: Account, services: Use) -> str | None:
    """The refresh token of a new session; None if the account was changed while the password was checked."""
    async with services.people.intake() as unit:
        token = await unit.refresh_tokens.start(account, timedelta(days=services.settings.refresh_days))
        await unit.commit()
    return token


def _pair(holder: Holder, refresh_token: str, services: Use, response: Response) -> TokenResponse:
    response.headers["Cache-Control"] = "no-store"
    return TokenResponse(
        access_token=services.tokens.issue(principal_of(holder)),
        expires_in=int(services.tokens.lifetime.total_seconds()),
        refresh_token=refresh_token,
    )
