"""Check a password and start a session; change one's own password. REST and the web pages start different sessions."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from fastapi import Request

from api.dependencies import Services
from api.security.passwords import PasswordMatch
from api.security.rate_limits import RateLimits
from api.security.tokens import Principal, invalid_token
from domain.email_addresses import normalize_email
from domain.errors import Conflict, InvalidInput, Problem, TemporarilyUnavailable, Unauthenticated
from domain.passwords import find_weakness, normalize_password, spellings
from persistence.queries.views import Account, Holder
from persistence.request_database import RequestUnitOfWork

StartSession: TypeAlias = Callable[[RequestUnitOfWork, Holder], Awaitable[str | None]]
"""Start a session and return its token; None if the account has changed since it was read."""


async def sign_in(  # noqa: PLR0913, PLR0917  # the credentials and what checks them
    request: Request, username: str, password: str, services: Services, limits: RateLimits, start: StartSession
) -> tuple[Account, str]:
    """Check the password of an account and start a session. Return the account and the session's token.

    Raises:
        Unauthenticated: the address or the password is wrong. Both look the same, also in time.
        TooManyRequests: there were too many attempts.
        TemporarilyUnavailable: too many passwords are being checked.
    """
    account = None
    address = _normal_email(username)
    if address:
        await limits.count_login(request, address)
        account = await services.queries.account_by_email(address)
    match = await services.passwords.verify(password, account.password_hash if account else None)
    token = None
    if account and match is not PasswordMatch.WRONG:
        new_hash = await _new_hash(password, services) if match is PasswordMatch.OUTDATED else None
        token = await _start(account, services, new_hash, start)
    if account is None or token is None:
        raise Unauthenticated("The e-mail address or the password is wrong")
    await limits.remember_login(request, address)
    return account, token


async def change_password(  # noqa: PLR0913, PLR0917  # the credentials and what checks them
    principal: Principal, current: str, new: str, services: Services, limits: RateLimits, start: StartSession
) -> tuple[Holder, str]:
    """Change the password, end all sessions of the user and start a new one. Return the user and the session's token.

    Raises:
        InvalidInput: the current password is wrong, or the new one is the current one or easy to guess.
        Conflict: the account has no password here, or was changed by another request.
        TooManyRequests: there were too many attempts.
    """
    await limits.count_password_change(principal.user_id)
    account = await services.queries.account(principal.user_id)
    if account is None:  # disabled or erased after its token was checked
        raise invalid_token()
    if account.password_hash is None:
        raise Conflict("The account has no password here")
    if await services.passwords.verify(current, account.password_hash) is PasswordMatch.WRONG:
        raise _invalid("current_password", "is not the current password")
    _check_new_password(current, new, account.email)
    password_hash = await services.passwords.hash(new)
    async with services.database.transaction() as uow:
        holder = await uow.people.change_own_password(account, password_hash)
        token = await start(uow, holder)
        await uow.commit()
    services.principals.forget(principal.user_id)
    if token is None:
        raise Conflict("The account was changed by another request; log in again")
    return holder, token


async def _start(account: Account, services: Services, new_hash: str | None, start: StartSession) -> str | None:
    async with services.database.transaction() as uow:
        if new_hash is not None:
            await uow.people.replace_hash(account, new_hash)
        token = await start(uow, account)
        await uow.commit()
    return token


def _check_new_password(current: str, new: str, email: str) -> None:
    """Raise InvalidInput if the new password is the current one or easy to guess."""
    problem = find_weakness(new, email)
    if problem is None and normalize_password(new) in spellings(current):
        problem = "must not be the current password"
    if problem is not None:
        raise _invalid("new_password", problem)


def _invalid(field: str, problem: str) -> InvalidInput:
    return InvalidInput("The request is not valid", (Problem(field, problem),))


def _normal_email(username: str) -> str:
    """Return the address in its normal form; "" if it is not an address."""
    try:
        return normalize_email(username.strip(" "))
    except ValueError:
        return ""


async def _new_hash(password: str, services: Services) -> str | None:
    """Hash the password's normal form. None: the hasher is overloaded, and the next login tries again."""
    try:
        return await services.passwords.hash(password)
    except TemporarilyUnavailable:
        return None
