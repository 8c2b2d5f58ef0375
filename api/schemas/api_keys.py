"""API keys of an organization."""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field

from api.schemas.base import Id, Input, Moment, Output

MAX_DAYS: Final = 366
DEFAULT_DAYS: Final = 90

Scope: TypeAlias = Literal["results:read", "webhooks:manage"]


def _distinct(given: list[str]) -> list[str]:
    if len(set(given)) != len(given):
        raise ValueError("must not name a scope twice")
    return given


class ApiKeyRequest(Input):
    name: str = Field(min_length=1, max_length=64, description="What the key is for", examples=["results to our LMS"])
    scopes: Annotated[list[Scope], AfterValidator(_distinct)] = Field(
        min_length=1, max_length=2, description="What the key may be used for"
    )
    expires_in_days: int = Field(default=DEFAULT_DAYS, ge=1, le=MAX_DAYS)


class ApiKey(Output):
    """`prefix` is how the key begins, `last_used_at` is exact to five minutes."""

    api_key_id: Id
    name: str
    prefix: str = Field(examples=["mck_4fXq0aTz"])
    scopes: list[str]
    created_at: Moment
    expires_at: Moment
    last_used_at: Moment | None = Field(default=None, description="Absent until the key is used")


class ApiKeyWithSecret(ApiKey):
    shown_once = frozenset({"key"})

    key: str | None = Field(
        default=None,
        description="Shown in this answer and never again: a replayed one is without it",
        examples=["mck_…"],
    )


class ApiKeyList(Output):
    """All of the organization that are not revoked, oldest first."""

    items: list[ApiKey]
