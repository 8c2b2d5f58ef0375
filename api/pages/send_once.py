"""Forms that show a secret: sending one again, for example by a reload of the page, has no second effect."""

import hashlib
from typing import Final

from fastapi import Request

from api.pages.forms import Form
from api.schemas.base import UUID_FORM
from api.security.tokens import Principal
from persistence.repositories.idempotency import KeyedRequest, StoredResponse
from persistence.request_database import RequestUnitOfWork

FIELD: Final = "once"
"""A hidden field with a random id, made with the form."""
_DONE: Final = StoredResponse(status=303, body=b"")


async def is_first(uow: RequestUnitOfWork, request: Request, principal: Principal, form: Form) -> bool:
    """Return whether the form is sent for the first time in 24 hours, and record that in the caller's transaction.

    Raises:
        RequestInProgress: the same form is being handled right now.
    """
    key = form.get(FIELD, "")
    if not UUID_FORM.fullmatch(key):
        return True
    keyed = KeyedRequest(
        organization_id=principal.organization_id,
        user_id=principal.user_id,
        method=request.method,
        route=request.url.path,
        key=key,
        request_hashes={"form": hashlib.sha256(key.encode()).hexdigest()},
    )
    if await uow.keys.claim(keyed) is not None:
        return False
    await uow.keys.store(keyed, _DONE)
    return True
