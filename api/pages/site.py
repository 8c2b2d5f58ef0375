"""Add the pages to the app: routes, static files and error pages."""

import re
from typing import Final

from fastapi import APIRouter, FastAPI
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from api.pages import errors
from api.pages.rendering import STATIC, STATIC_PATH
from api.pages.routes import (
    account,
    admin,
    appeals,
    assessments,
    oidc,
    overview,
    release_offers,
    rescores,
    results,
    reviews,
    set_password,
    staff_appeals,
    student,
    taking,
)
from api.pages.texts import load_catalogues

_YEAR: Final = "public, max-age=31536000, immutable"
_HASHED: Final = re.compile(rb"v=[0-9a-f]{12}")
_STAFF: Final = (
    *(overview.overview, reviews.reviews, release_offers.release_offers),
    *(assessments.assessments, staff_appeals.appeals, rescores.rescores),
)


class HashedFiles(StaticFiles):
    """Static files. A URL with the hash of a file may be cached for a year, any other must be checked each time."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        hashed = _HASHED.fullmatch(scope["query_string"]) is not None
        response.headers["Cache-Control"] = _YEAR if hashed else "no-cache"
        return response


def routers() -> tuple[APIRouter, ...]:
    student_pages = (student.student, taking.taking, results.results, appeals.appeals)
    return (account.account, oidc.oidc, set_password.set_password, *student_pages, *_STAFF, *admin.routers())


def prepare(app: FastAPI, *, secure_cookies: bool) -> None:
    """Read the translations, and add static files and error pages. The caller includes the routers."""
    load_catalogues()
    app.state.secure_cookies = secure_cookies
    app.mount(STATIC_PATH, HashedFiles(directory=STATIC), name="static")
    errors.register(app)
