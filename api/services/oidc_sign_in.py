"""Start a session after the OIDC provider has authenticated a person."""

from api.dependencies import Services
from api.security.oidc import Identity, OidcProvider
from api.services.sign_in import StartSession
from domain.errors import Conflict, Unauthenticated
from domain.people import normalize_name
from persistence.queries.views import Account
from persistence.repositories.people import NewUser


async def sign_in_by_provider(
    identity: Identity, provider: OidcProvider, services: Services, start: StartSession
) -> str:
    """Start a session of the organization's account with this address. Return the session's token.

    Without an account, a student is created if the provider's settings allow it.

    Raises:
        Unauthenticated: there is no active account with the address in the provider's organization.
    """
    account = await services.queries.account_by_email(identity.email)
    if account is None and provider.creates_accounts:
        account = await _create(identity, provider, services)
    if account is None or account.organization_id != provider.organization_id:
        raise _no_account()
    async with services.database.transaction() as uow:
        token = await start(uow, account)
        await uow.commit()
    if token is None:
        raise _no_account()
    return token


async def _create(identity: Identity, provider: OidcProvider, services: Services) -> Account | None:
    """Create a student. None: a disabled account, or one of another organization, has the address."""
    new = NewUser(email=identity.email, role="student", password_hash=None, name=_name(identity.name))
    try:
        async with services.database.transaction() as uow:
            await uow.people.create(provider.organization_id, None, new)
            await uow.commit()
    except Conflict:  # or another request has just created it
        pass
    return await services.queries.account_by_email(identity.email)


def _name(claimed: str | None) -> str | None:
    """Return the provider's name of the person; None if it breaks the rules for names."""
    try:
        return normalize_name(claimed) if claimed else None
    except ValueError:
        return None


def _no_account() -> Unauthenticated:
    return Unauthenticated("No account here has this address")
