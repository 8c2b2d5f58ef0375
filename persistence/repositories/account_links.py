"""Links with which a person sets a password, as requests create and use them."""

from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import delete, func, literal, select, text
from sqlalchemy.dialects.postgresql import insert

from domain.account_links import LIFETIME, LinkMail, MailStatus, MailText
from domain.errors import Conflict, NotFound
from domain.tokens import hash_of
from persistence.queries.people_views import PeopleScope
from persistence.queries.views import Account, Actor
from persistence.repositories import audit
from persistence.repositories.base import Repository
from persistence.repositories.people import locked_person
from persistence.tables import AccountLinkRow, UserRow
from persistence.tables.base import table_of

_links: Final = table_of(AccountLinkRow)
_users: Final = table_of(UserRow)

_DELETE_EXPIRED: Final = text("""
DELETE FROM account_links WHERE id IN (
  SELECT id FROM account_links WHERE expires_at < now() - interval '1 day' LIMIT 100 FOR UPDATE SKIP LOCKED)
""")
_VALID: Final = (
    _links.c.user_id == _users.c.id,
    _links.c.token_version == _users.c.token_version,
    _links.c.expires_at > func.clock_timestamp(),
    _users.c.status == "active",
)
_ACCOUNT: Final = (
    _users.c.id.label("user_id"),
    _users.c.role,
    _users.c.organization_id,
    _users.c.token_version,
    _users.c.must_change_password,
    _users.c.email,
    _users.c.password_hash,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkView:
    """A person's newest link. `mail_status` None: it was shown to the admin. `works` is false after it has expired."""

    link_id: UUID
    user_id: UUID
    mail_status: MailStatus | None
    mail_ended_at: datetime | None
    created_at: datetime
    expires_at: datetime
    works: bool


class AccountLinks(Repository):
    """Write links in the caller's transaction. Only hashes of tokens are stored."""

    async def create(self, user_id: UUID, viewer: PeopleScope, admin: Actor, how: str | MailText) -> LinkView:
        """Create a link that replaces the person's earlier one. `how` is its token, or the mail that will have one.

        Some expired links, of any users, are deleted on this occasion.

        Raises:
            NotFound: the account does not exist or is outside the scope.
            Erased: the user is being erased.
            Conflict: the account is disabled.
        """
        person = await locked_person(self._session, user_id, viewer)
        if person.status != "active":
            raise Conflict("The account is disabled. Enable it first")
        await self._session.execute(_DELETE_EXPIRED)
        version = select(_users.c.token_version).where(_users.c.id == user_id).scalar_subquery()
        values = {
            "id": uuid4(),
            "token_version": version,
            "token_hashes": [] if isinstance(how, MailText) else [hash_of(how)],
            "mail": asdict(how) if isinstance(how, MailText) else None,
            "mail_status": MailStatus.PENDING.value if isinstance(how, MailText) else None,
            "mail_ended_at": None,
            "created_at": func.clock_timestamp(),
            "expires_at": func.clock_timestamp() + literal(LIFETIME),
        }
        made = insert(_links).values(user_id=user_id, **values)
        made = made.on_conflict_do_update(index_elements=["user_id"], set_=values)
        await self._session.execute(made)
        about = ("user.link_created", "user", user_id, person.organization_id)
        delivery = "mail" if isinstance(how, MailText) else "show"
        await audit.record(self._session, admin, *about, delivery=delivery)
        view = await self.of(user_id)
        assert view is not None  # noqa: S101  # it was just written
        return view

    async def of(self, user_id: UUID) -> LinkView | None:
        """Return the person's newest link. The caller has checked the viewer's scope."""
        statement = select(
            _links.c.id.label("link_id"),
            _links.c.user_id,
            _links.c.mail_status,
            _links.c.mail_ended_at,
            _links.c.created_at,
            _links.c.expires_at,
            ((_links.c.expires_at > func.clock_timestamp()) & (_links.c.token_version == _users.c.token_version)).label(
                "works"
            ),
        ).join(_users, _users.c.id == _links.c.user_id)
        row = (await self._session.execute(statement.where(_links.c.user_id == user_id))).mappings().one_or_none()
        if row is None:
            return None
        status = row["mail_status"]
        return LinkView(**(dict(row) | {"mail_status": MailStatus(status) if status else None}))

    async def account(self, token: str) -> Account | None:
        """Return the account whose valid link has this token; None without one."""
        statement = select(*_ACCOUNT).where(*_VALID, _links.c.token_hashes.contains([hash_of(token)]))
        row = (await self._session.execute(statement)).mappings().one_or_none()
        return None if row is None else Account(**row)

    async def use(self, user_id: UUID, token: str) -> bool:
        """Delete the user's link with this token. Return False if it has expired or another request has used it.

        The caller has locked the user.
        """
        used = delete(_links).where(
            _links.c.user_id == user_id,
            _links.c.token_hashes.contains([hash_of(token)]),
            _links.c.expires_at > func.clock_timestamp(),
        )
        return (await self._session.execute(used.returning(_links.c.id))).one_or_none() is not None

    async def mail(self, link_id: UUID) -> LinkMail:
        """Return the mail of a link.

        Raises:
            NotFound: the link does not exist.
        """
        statement = select(_links.c.id, _users.c.organization_id).join(_users, _users.c.id == _links.c.user_id)
        row = (await self._session.execute(statement.where(_links.c.id == link_id))).mappings().one_or_none()
        if row is None:
            raise NotFound("No such link")
        return LinkMail(**row)
