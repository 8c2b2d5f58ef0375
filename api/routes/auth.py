"""Log in, refresh tokens, log out, read and change one's own account."""

from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Request, Response
from fastapi.security import OAuth2PasswordRequestForm

from api.dependencies import PeopleScopeDep, PrincipalDep, ServicesDep
from api.middleware.routing import router
from api.schemas.errors import answers
from api.schemas.people import Me, OwnPasswordChange, RefreshRequest, TokenResponse
from api.security.rate_limits import Limits
from api.security.tokens import Principal, UserRole, invalid_token
from api.services.sign_in import StartSession, change_password, sign_in
from domain.errors import Unauthenticated
from persistence.queries.views import Holder

tokens = router(prefix="/auth", tags=["Authentication"])
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
    account, refresh_token = await sign_in(
        request, form.username, form.password, services, limits, _session_starter(services)
    )
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


@me.get("/me", summary="Read my account", responses=answers(401, 403))
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
    current, new = change.current_password.get_secret_value(), change.new_password.get_secret_value()
    holder, refresh_token = await change_password(principal, current, new, services, limits, _session_starter(services))
    return _token_response(holder, refresh_token, services, response)


def _session_starter(services: ServicesDep) -> StartSession:
    lifetime = timedelta(days=services.settings.refresh_days)
    return lambda uow, holder: uow.refresh_tokens.start(holder, lifetime)


def principal_of(holder: Holder) -> Principal:
    return Principal(
        user_id=holder.user_id,
        role=UserRole(holder.role),
        organization_id=holder.organization_id,
        version=holder.token_version,
        must_change_password=holder.must_change_password,
    )


def _token_response(holder: Holder, refresh_token: str, services: ServicesDep, response: Response) -> TokenResponse:
    response.headers["Cache-Control"] = "no-store"
    return TokenResponse(
        access_token=services.tokens.issue(principal_of(holder)),
        expires_in=int(services.tokens.lifetime.total_seconds()),
        refresh_token=refresh_token,
    )
