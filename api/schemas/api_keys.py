"""API keys of an organization."""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, Field

from api.schemas.base import Id, Input, Moment, Output, VisibleText

MAX_DAYS: Final = 366
DEFAULT_DAYS: Final = 90

Scope: TypeAlias = Literal["results:read", "webhooks:manage"]


def _distinct(given: list[str]) -> list[str]:
    if len(set(given)) != len(given):
        raise ValueError("must not list a scope twice")
    return given


class ApiKeyRequest(Input):
    name: VisibleText = Field(
        min_length=1, max_length=64, description="The purpose of the key", examples=["results to our LMS"]
    )
    scopes: Annotated[list[Scope], AfterValidator(_distinct)] = Field(
        min_length=1, max_length=2, description="The groups of routes that the key may use"
    )
    expires_in_days: int = Field(default=DEFAULT_DAYS, ge=1, le=MAX_DAYS)


class ApiKey(Output):
    """An API key. `prefix` is the start of the key. `last_used_at` is accurate to five minutes."""

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
        description="The key. Only this response contains it; a replay of the response does not",
        examples=["mck_…"],
    )


class ApiKeyList(Output):
    """All keys of the organization that are not revoked, oldest first."""

    items: list[ApiKey]
