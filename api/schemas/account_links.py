"""Links with which a person sets a password."""

from typing import Final, Literal, TypeAlias

from pydantic import Field

from api.schemas.base import Id, Input, Moment, Output
from api.schemas.people import Password

Delivery: TypeAlias = Literal["show", "mail"]
MAX_TOKEN_CHARS: Final = 64


class LinkRequest(Input):
    delivery: Delivery = Field(
        default="show",
        description="`show` returns the link to you. `mail` sends it to the person, if the installation sends mails",
    )


class AccountLink(Output):
    """A person's newest link. `works` is false after 24 hours, and after a change of the role, status or password.

    A mailed link works for 24 hours after it was sent. `mail_status` is absent if the link was shown.
    """

    link_id: Id
    user_id: Id
    delivery: Delivery
    mail_status: Literal["pending", "sent", "failed"] | None = None
    mail_ended_at: Moment | None = Field(default=None, description="When the mail was sent, or failed for good")
    works: bool
    created_at: Moment
    expires_at: Moment


class NewAccountLink(AccountLink):
    shown_once = frozenset({"token", "url"})

    token: str | None = Field(default=None, description="Only this response contains it; a replay does not")
    url: str | None = Field(default=None, description="The page on which the person sets the password")


class LinkUse(Input):
    token: str = Field(min_length=1, max_length=MAX_TOKEN_CHARS)
    new_password: Password
