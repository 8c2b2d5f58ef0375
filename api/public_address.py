"""The address of the pages as people type it: for links, and for the redirect of an OIDC provider."""

from typing import Final

from fastapi import Request

from api.settings import ApiSettings

SET_PASSWORD: Final = "/set-password"  # noqa: S105  # a path


def public_url(request: Request, settings: ApiSettings) -> str:
    """Return PUBLIC_URL without the last slash; without the setting, the address that this request was sent to."""
    if settings.public_url is not None:
        return str(settings.public_url).rstrip("/")
    scheme = "http" if settings.microcred_env == "development" else "https"
    return f"{scheme}://{request.headers.get('host', '')}"


def link_url(base: str, token: str) -> str:
    """Return the address of a link. Browsers do not send the part after `#`, so no server logs the token."""
    return f"{base}{SET_PASSWORD}#{token}"
