"""Logging in, and who one is."""

from typing import Annotated

from fastapi import Depends, Response
from fastapi.security import OAuth2PasswordRequestForm

from api.routing import open_router, router
from api.schemas.errors import answers
from api.schemas.people import Me, TokenResponse
from api.services import Caller, Use
from api.tokens import Principal, UserRole
from domain.errors import Unauthenticated
from persistence.views import Account

MAX_EMAIL_CHARS = 254

tokens = open_router(prefix="/auth", tags=["Authentication"])
me = router(tags=["Authentication"])


@tokens.post("/token", summary="Log in", responses=answers(400, 401, 413))
async def create_token(
    form: Annotated[OAuth2PasswordRequestForm, Depends()], services: Use, response: Response
) -> TokenResponse:
    """OAuth2 password form: the e-mail address as `username`. Wrong address and wrong password are not told apart."""
    account = await _account(form.username, services)
    if not await services.passwords.verify(form.password, account.password_hash if account else None) or not account:
        raise Unauthenticated("The e-mail address or the password is wrong")
    response.headers["Cache-Control"] = "no-store"
    return TokenResponse(
        access_token=services.tokens.issue(principal_of(account)),
        expires_in=int(services.tokens.lifetime.total_seconds()),
    )


@me.get("/me", summary="Who am I", responses=answers(401), response_model_exclude_none=True)
async def read_me(caller: Caller) -> Me:
    return Me(user_id=caller.user_id, role=caller.role.value, organization_id=caller.organization_id)


def principal_of(account: Account) -> Principal:
    return Principal(
        user_id=account.user_id,
        role=UserRole(account.role),
        organization_id=account.organization_id,
        version=account.token_version,
    )


async def _account(email: str, services: Use) -> Account | None:
    """None too for what cannot be an address, and what PostgreSQL would refuse as text."""
    if len(email) > MAX_EMAIL_CHARS or not email.isprintable():
        return None
    return await services.queries.account_by_email(email)
