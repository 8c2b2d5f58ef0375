"""Who is calling."""

from typing import Literal

from api.wire import Id, Output


class TokenResponse(Output):
    """An OAuth2 access token; `expires_in` in seconds."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"  # noqa: S105  # the scheme's name
    expires_in: int


class Me(Output):
    """`organization_id` is absent for a platform admin."""

    user_id: Id
    role: Literal["student", "advisor", "admin"]
    organization_id: Id | None = None
