"""Changes of organizations and users by admins, each with its audit row."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import func, insert, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict, Erased, Forbidden, InvalidInput, NotFound, Problem
from persistence.queries.people import ORGANIZATION_COLUMNS, USER_COLUMNS, people_of
from persistence.queries.people_views import HeldView, OrganizationView, PeopleScope, UserView
from persistence.queries.views import Account, Actor, Holder
from persistence.repositories import audit
from persistence.repositories.assessments import ERASED
from persistence.repositories.base import Repository
from persistence.repositories.refresh_tokens import revoke_all
from persistence.tables import CredentialRow, LearnerCredentialRow, OrganizationRow, UserRow
from persistence.tables.base import table_of

_REFUSED: Final = "The request is not valid"
_AUDITED: Final = frozenset({"role", "status"})
"""Fields whose new value is in the audit trail, which holds no personal data."""
_ACCOMMODATION: Final = frozenset({"time_factor", "extra_minutes"})
_KEEP_SESSIONS: Final = frozenset({"name", "external_id"}) | _ACCOMMODATION
"""Fields that do not affect what the user may do."""

_organizations: Final = table_of(OrganizationRow)
_users: Final = table_of(UserRow)
_held: Final = table_of(LearnerCredentialRow)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewUser:
    email: str
    role: str
    password_hash: str | None = field(repr=False)
    name: str | None = None
    external_id: str | None = None


class People(Repository):
    """Write organizations and users in the caller's transaction.

    Raises:
        NotFound: the user does not exist, is erased, or is outside the viewer's scope.
    """

    async def found(self, admin: Actor, name: str, first: NewUser) -> tuple[OrganizationView, UserView]:
        """Create an organization with its first user.

        Raises:
            Conflict: the address is already taken.
        """
        made = insert(_organizations).values(id=uuid4(), name=name).returning(*ORGANIZATION_COLUMNS)
        organization = OrganizationView(**(await self._session.execute(made)).mappings().one())
        organization_id = organization.organization_id
        await audit.record(
            self._session, admin, "organization.created", "organization", organization_id, organization_id
        )
        return organization, await self._insert(organization_id, admin, first)

    async def create(self, organization_id: UUID, admin: Actor | None, wanted: NewUser) -> UserView:
        """Create a user of the organization. `admin` None: the person has signed in at the OIDC provider.

        Raises:
            InvalidInput: the organization does not exist.
            Conflict: the address or the external id is already taken.
        """
        there = select(_organizations.c.id).where(_organizations.c.id == organization_id)
        if await self._session.scalar(there) is None:
            raise no_such_organization()
        return await self._insert(organization_id, admin, wanted)

    async def create_platform_admin(self, wanted: NewUser) -> UserView:
        """Create an admin without an organization. Only a command calls this; no account may do it.

        Raises:
            Conflict: the address is already taken.
        """
        return await self._insert(None, None, wanted)

    async def change(self, user_id: UUID, viewer: PeopleScope, admin: Actor, wanted: Mapping[str, object]) -> UserView:
        """Change `name`, `external_id`, `time_factor`, `extra_minutes`, `role`, `status` or `password_hash`.

        A change of one of the last three ends the user's sessions and invalidates their tokens. After a new password,
        the user must choose another one at the next login.

        Raises:
            Erased: the user is being erased.
            Forbidden: a platform admin would change a role.
            Conflict: the organization would lose its last admin, a platform admin would get another role, or another
                user of the organization has the external id, or the user of an accommodation is no student.
        """
        before = await locked_person(self._session, user_id, viewer)
        changes = {name: value for name, value in wanted.items() if getattr(before, name, None) != value}
        if not changes:
            return before
        after = (changes.get("role", before.role), changes.get("status", before.status))
        if before.organization_id is None and after[0] != "admin":
            raise Conflict("The role of a platform admin cannot be changed")
        if after[0] != "student" and changes.keys() & _ACCOMMODATION:
            raise Conflict("Only students have a time accommodation")
        if after != ("admin", "active"):
            await keep_an_admin(self._session, before)
        if viewer.role is not None and "role" in changes:
            raise Forbidden("Platform admins cannot change roles")
        view = await self._update(user_id, changes)
        details = {name: value for name, value in changes.items() if name in _AUDITED}
        fields = sorted(name.removesuffix("_hash") for name in changes)
        about = ("user.changed", "user", user_id, view.organization_id)
        await audit.record(self._session, admin, *about, fields=fields, **details)
        return view

    async def set_groups(self, user_id: UUID, viewer: PeopleScope, admin: Actor, groups: Mapping[str, str]) -> None:
        """Replace a student's groups for the analysis of fairness. The audit row names no group.

        Raises:
            Erased: the user is being erased.
            Conflict: the user is no student.
        """
        person = await locked_person(self._session, user_id, viewer)
        if person.role != "student":
            raise Conflict("Groups are stored for students only")
        profile = func.coalesce(_users.c.profile, literal({}, JSONB)).op("-")("groups")
        stored = profile.op("||")(literal({"groups": dict(groups)} if groups else {}, JSONB))
        await self._session.execute(
            update(_users).where(_users.c.id == user_id).values(profile=stored, updated_at=func.clock_timestamp())
        )
        await audit.record(
            self._session, admin, "user.changed", "user", user_id, person.organization_id, fields=["groups"]
        )

    async def choose_language(self, user_id: UUID, language: str | None) -> None:
        """Store the user's own choice of the pages' language; None follows the browser."""
        mine = update(_users).where(_users.c.id == user_id, _users.c.status == "active")
        await self._session.execute(mine.values(language=language, updated_at=func.clock_timestamp()))

    async def change_own_password(self, account: Account, password_hash: str) -> Holder:
        """Store the password that the user has chosen, end all their sessions and invalidate their tokens.

        Returns:
            The user as stored now. The caller may start a new session for them.

        Raises:
            Conflict: the account was changed since `account` was read.
        """
        changed = (
            update(_users)
            .where(
                _users.c.id == account.user_id,
                _users.c.status == "active",
                _users.c.token_version == account.token_version,
            )
            .values(
                password_hash=password_hash,
                must_change_password=False,
                token_version=_users.c.token_version + 1,
                updated_at=func.clock_timestamp(),
            )
        )
        if (await self._session.execute(changed.returning(_users.c.id))).one_or_none() is None:
            raise Conflict("The account was changed by another request; log in again")
        await revoke_all(self._session, account.user_id)
        actor = Actor(id=account.user_id, role=audit.role_of(account.role, account.organization_id))
        await audit.record(
            self._session, actor, "user.changed", "user", actor.id, account.organization_id, fields=["password"]
        )
        return Holder(
            user_id=account.user_id,
            role=account.role,
            organization_id=account.organization_id,
            token_version=account.token_version + 1,
        )

    async def replace_hash(self, account: Account, password_hash: str) -> None:
        """Store another hash of the same password, unless the password was changed since `account` was read."""
        await self._session.execute(
            update(_users)
            .where(_users.c.id == account.user_id, _users.c.password_hash == account.password_hash)
            .values(password_hash=password_hash, updated_at=_users.c.updated_at)
        )

    async def hold(
        self, user_id: UUID, viewer: PeopleScope, actor: Actor, credential_id: UUID, earned_at: date
    ) -> HeldView:
        """Record that the user holds a credential of the catalogue; withdrawn credentials are allowed.

        Raises:
            Erased: the user is being erased.
            InvalidInput: the credential does not exist.
            Conflict: the user already holds it.
        """
        person = await locked_person(self._session, user_id, viewer, shared=True)
        title = await self._session.scalar(select(CredentialRow.title).where(CredentialRow.id == credential_id))
        if title is None:
            raise InvalidInput(_REFUSED, (Problem("credential_id", "is not the id of a credential"),))
        made = upsert(_held).values(user_id=user_id, credential_id=credential_id, earned_at=earned_at)
        created_at = await self._session.scalar(made.on_conflict_do_nothing().returning(_held.c.created_at))
        if created_at is None:
            raise Conflict("The user already holds this credential")
        about = ("user.credential_added", "user", user_id, person.organization_id)
        await audit.record(self._session, actor, *about, credential_id=credential_id)
        return HeldView(credential_id=credential_id, title=title, earned_at=earned_at, created_at=created_at)

    async def lock_author(self, user_id: UUID) -> None:
        """Lock the account that writes about another user in share mode until the transaction ends.

        An erasure of the author then is either seen here or finds what the author wrote.

        Raises:
            Erased: the author is being erased.
        """
        status = select(_users.c.status).where(_users.c.id == user_id).with_for_update(read=True)
        if await self._session.scalar(status) in ERASED:
            raise Erased("The account is being erased")

    async def _insert(self, organization_id: UUID | None, admin: Actor | None, wanted: NewUser) -> UserView:
        made = upsert(_users).values(id=uuid4(), organization_id=organization_id, **asdict(wanted))
        statement = made.on_conflict_do_nothing().returning(*USER_COLUMNS)
        row = (await self._session.execute(statement)).mappings().one_or_none()
        if row is None:
            taken = select(_users.c.id).where(_users.c.email == wanted.email)
            raise Conflict("The e-mail address is taken") if await self._session.scalar(taken) else external_id_taken()
        view = UserView(**row)
        await audit.record(self._session, admin, "user.created", "user", view.user_id, organization_id, role=view.role)
        return view

    async def _update(self, user_id: UUID, changes: Mapping[str, object]) -> UserView:
        ends_sessions = not changes.keys() <= _KEEP_SESSIONS
        more: dict[str, object] = {"token_version": _users.c.token_version + 1} if ends_sessions else {}
        if "password_hash" in changes:
            more["must_change_password"] = True
        changed = update(_users).where(_users.c.id == user_id)
        statement = changed.values(**changes, **more, updated_at=func.clock_timestamp()).returning(*USER_COLUMNS)
        try:
            async with self._session.begin_nested():
                row = (await self._session.execute(statement)).mappings().one()
        except IntegrityError:  # only the external id is both unique and changeable
            raise external_id_taken() from None
        if ends_sessions:
            await revoke_all(self._session, user_id)
        return UserView(**row)


def external_id_taken() -> Conflict:
    return Conflict("Another user of the organization has this external id")


def no_such_organization() -> InvalidInput:
    return InvalidInput(_REFUSED, (Problem("organization_id", "does not name an organization"),))


async def locked_person(session: AsyncSession, user_id: UUID, viewer: PeopleScope, *, shared: bool = False) -> UserView:
    """Lock the user against changes until the transaction ends. `shared`: the caller does not change the row either.

    Raises:
        NotFound: the user does not exist or is outside the viewer's scope.
        Erased: the user is being erased.
    """
    wanted = people_of(viewer).where(_users.c.id == user_id).with_for_update(read=shared, key_share=not shared)
    row = (await session.execute(wanted)).mappings().one_or_none()
    if row is None:
        raise NotFound("No such user")
    if row["status"] == "erasing":
        raise Erased("The account is being erased")
    return UserView(**row)


async def keep_an_admin(session: AsyncSession, leaving: UserView) -> None:
    """Check under a lock that another active admin of the same organization (or of the platform) remains.

    Raises:
        Conflict: there is no other active admin.
    """
    if (leaving.role, leaving.status) != ("admin", "active"):
        return
    turn = func.hashtextextended(f"admins/{leaving.organization_id}", 0)
    await session.execute(select(func.pg_advisory_xact_lock(turn)))
    others = select(_users.c.id).where(
        _users.c.organization_id.is_not_distinct_from(leaving.organization_id),
        _users.c.role == "admin",
        _users.c.status == "active",
        _users.c.id != leaving.user_id,
    )
    if await session.scalar(others.limit(1)) is None:
        raise Conflict("The last active admin cannot be disabled, erased or given another role")
