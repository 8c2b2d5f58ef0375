"""Schemas of tokens, users, organizations and the credentials that users hold."""

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    WithJsonSchema,
    model_validator,
)

from api.schemas.base import Id, Input, Moment, Number, Output, VisibleText, absent
from domain.accommodations import MAX_EXTRA_MINUTES, MAX_TIME_FACTOR
from domain.email_addresses import MAX_CHARS
from domain.passwords import MAX_BYTES, MIN_CHARS, TOO_SHORT_OR_LONG, find_weakness
from domain.people import MAX_EXTERNAL_ID_CHARS, MAX_NAME_CHARS, check_external_id, normalize_name

MAX_LOCAL_CHARS: Final = 64
MAX_ORGANIZATION_CHARS: Final = 128
_LABEL: Final = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
EMAIL: Final = rf"^[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]+(\.[A-Za-z0-9!#$%&'*+/=?^_`{{|}}~-]+)*@({_LABEL}\.)+{_LABEL}$"
"""ASCII e-mail addresses, without the rare quoted and bracketed forms."""

Role: TypeAlias = Literal["student", "advisor", "admin"]


def _address(value: str) -> str:
    if value.index("@") > MAX_LOCAL_CHARS:
        raise ValueError(f"must have at most {MAX_LOCAL_CHARS} characters before the @")
    return value


def _not_weak(value: SecretStr, info: ValidationInfo) -> SecretStr:
    """Reject a password that is easy to guess, such as the e-mail address in the same request."""
    if problem := find_weakness(value.get_secret_value(), info.data.get("email", "")):
        raise ValueError(problem)
    return value


def _still_fits(name: str) -> str:
    """Check the length again, because the normal form of a name may be longer."""
    if len(name) > MAX_ORGANIZATION_CHARS:
        raise ValueError(f"must have at most {MAX_ORGANIZATION_CHARS} characters in Unicode normal form C")
    return name


def _day(value: object) -> object:
    if isinstance(value, str):
        if not re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            raise ValueError("must be a date such as 2026-01-31")
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise ValueError("is not a valid date") from None
    return value


def _not_in_future(value: date) -> date:
    """Reject future dates. Tomorrow in UTC is accepted, because of time zones ahead of it."""
    if value > datetime.now(UTC).date() + timedelta(days=1):
        raise ValueError("must not be in the future")
    return value


Email = Annotated[
    str,
    Field(max_length=MAX_CHARS, pattern=EMAIL, examples=["ada@partner.example"]),
    AfterValidator(_address),
]
Password = Annotated[
    SecretStr,
    AfterValidator(_not_weak),
    WithJsonSchema(
        {
            "type": "string",
            "format": "password",
            "writeOnly": True,
            "minLength": MIN_CHARS,
            "maxLength": MAX_BYTES,
            "description": f"It {TOO_SHORT_OR_LONG}, in Unicode normal form C. It must not be blank, a repetition of a"
            " few characters, or the account's e-mail address",
        }
    ),
]
PersonName = Annotated[
    str, Field(min_length=1, max_length=MAX_NAME_CHARS, examples=["Ada Lovelace"]), AfterValidator(normalize_name)
]
OrganizationName = Annotated[
    str,
    Field(min_length=1, max_length=MAX_ORGANIZATION_CHARS, pattern=r"\S"),
    AfterValidator(normalize_name),
    AfterValidator(_still_fits),
]
"""The name of an organization. Subjects of mails contain it, so it has one line."""
SearchText = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_NAME_CHARS,
        description="A part of the name or of the e-mail address, in any case. One or two characters: the start of a"
        " word of the name, or of the address",
    ),
    AfterValidator(normalize_name),
]
ExternalId = Annotated[
    str,
    Field(
        min_length=1,
        max_length=MAX_EXTERNAL_ID_CHARS,
        description="The user's id in the organization's own systems, unique in the organization. Printable"
        " characters, case-sensitive",
        examples=["student-4711"],
    ),
    AfterValidator(check_external_id),
]
Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
RefreshToken = Annotated[str, Field(min_length=1, max_length=256)]


class TokenResponse(Output):
    """`expires_in` is the lifetime of the access token in seconds. The refresh token returns a new pair, once."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # the scheme's name
    expires_in: int
    refresh_token: str


class RefreshRequest(Input):
    refresh_token: RefreshToken


class Me(Output):
    """`organization_id` is absent for a platform admin."""

    user_id: Id
    role: Role
    organization_id: Id | None = None
    name: str | None = None
    external_id: str | None = None
    must_change_password: bool | None = Field(
        default=None,
        description="True after an admin has set the password. The user must call `POST /me/password` first",
    )


class OwnPasswordChange(Input):
    current_password: SecretStr = Field(min_length=1, max_length=1024)
    new_password: Password


class FirstAdmin(Input):
    email: Email
    password: Password


class OrganizationRequest(Input):
    """`admin` is the organization's first admin, who creates the other accounts."""

    name: OrganizationName
    admin: FirstAdmin


class UserRequest(Input):
    """A new user. The admin gives the initial password to the user; responses and logs never contain it.

    Without a password, the user sets one with a link (`POST /users/{user_id}/link`).
    """

    email: Email
    password: Password | None = None
    role: Role
    name: PersonName | None = None
    external_id: ExternalId | None = None
    organization_id: Id | None = Field(
        default=None, description="Only for platform admins; other admins create users in their own organization"
    )


Attribute = Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,31}$")]
Group = Annotated[VisibleText, Field(min_length=1, max_length=64)]


def _two_decimals(value: object) -> object:
    """Convert a JSON number to an exact decimal from 1 to 3."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("must be a number")  # noqa: TRY004  # Pydantic reports it for this field
    exact = Decimal(str(value))
    if not 1 <= exact <= MAX_TIME_FACTOR or exact != round(exact, 2):
        raise ValueError(f"must be from 1 to {MAX_TIME_FACTOR}, with at most two decimals")
    return exact


TimeFactor = Annotated[
    Decimal,
    BeforeValidator(_two_decimals),
    WithJsonSchema({"type": "number", "minimum": 1, "maximum": int(MAX_TIME_FACTOR)}),
]


class UserChange(Input):
    """A change of a user. Absent fields do not change; `null` deletes a name or an external id.

    `time_factor` and `extra_minutes` give a student more time to answer: the usual time is multiplied by the factor,
    then the minutes are added. They count from the next start on. Assessments in progress keep their deadline.

    A change of role, status or password ends the user's sessions within a minute.
    """

    name: PersonName | None = None
    external_id: ExternalId | None = None
    role: Role = Field(default_factory=absent)
    status: Literal["active", "disabled"] = Field(default_factory=absent)
    password: Password = Field(default_factory=absent)
    time_factor: TimeFactor = Field(default_factory=absent, description="For students. 1 to 3, at most two decimals")
    extra_minutes: int = Field(default_factory=absent, ge=0, le=MAX_EXTRA_MINUTES, description="For students")
    groups: dict[Attribute, Group] = Field(
        default_factory=absent,
        max_length=8,
        description="For students: the group by attribute, for `GET /quality/fairness` only. Replaces all groups; `{}` "
        "deletes them. Such data may be sensitive: store it only with the student's consent, and delete it when the "
        "student withdraws the consent. No list of users shows it; the student's export does",
        examples=[{"first_language": "other", "age": "25-34"}],
    )

    @model_validator(mode="after")
    def _has_a_change(self) -> "UserChange":
        if not self.model_fields_set:
            raise ValueError("must have at least one field to change")
        return self


class User(Output):
    """`organization_id` is absent for a platform admin.

    `time_factor` and `extra_minutes` are a student's time accommodation; 1 and 0 mean the usual time.
    """

    user_id: Id
    organization_id: Id | None = None
    email: str
    name: str | None = None
    external_id: str | None = None
    role: Role
    status: Literal["active", "disabled", "erasing"]
    time_factor: Number
    extra_minutes: int
    created_at: Moment
    updated_at: Moment


class UserList(Output):
    """Newest first. `next_cursor` is absent on the last page."""

    items: list[User]
    next_cursor: str | None = None


class Organization(Output):
    organization_id: Id
    name: str
    created_at: Moment


class OrganizationWithAdmin(Organization):
    admin: User


class OrganizationList(Output):
    """Newest first. `next_cursor` is absent on the last page."""

    items: list[Organization]
    next_cursor: str | None = None


class HeldCredentialRequest(Input):
    credential_id: Id
    earned_at: Annotated[Day, AfterValidator(_not_in_future)]


class HeldCredential(Output):
    """A credential that a user already holds. `created_at` is when it was recorded."""

    credential_id: Id
    title: str
    earned_at: Day
    created_at: Moment


class HeldCredentialList(Output):
    """Most recently recorded first. `next_cursor` is absent on the last page."""

    items: list[HeldCredential]
    next_cursor: str | None = None
