"""Nothing is reachable by a page that REST refuses."""

from collections import Counter
from collections.abc import Callable

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from api.app import build
from api.middleware.response_headers import HttpSettings
from api.pages.permissions import PAGE_PERMISSIONS
from api.pages.routing import PageRoute, page_router
from api.security.authorization import ROUTE_PERMISSIONS
from tests.api.conftest import UNLIMITED, Api
from tests.pages.conftest import Browser

PUBLIC = {"sign_in_page", "sign_in_form", "sign_out_form", "set_password_page", "set_password_form"}
PUBLIC |= {"provider_sign_in_page", "provider_callback_page"}


def pages_of(app: FastAPI) -> set[str | None]:
    return {route.name for route in iter_route_contexts(app.routes) if isinstance(route.original_route, PageRoute)}


def test_every_page_needs_the_permissions_of_rest_routes(app: FastAPI) -> None:
    needed = {route for routes in PAGE_PERMISSIONS.values() for route in routes or ()}

    assert pages_of(app) == PAGE_PERMISSIONS.keys()
    assert needed <= ROUTE_PERMISSIONS.keys()
    assert {page for page, routes in PAGE_PERMISSIONS.items() if routes is None} == PUBLIC


def test_no_two_pages_share_a_rule(app: FastAPI) -> None:
    pages = Counter(
        route.name
        for route in iter_route_contexts(app.routes)
        if isinstance(route.original_route, PageRoute) and route.methods != {"HEAD"}  # those are copies
    )

    assert [name for name, routes in pages.items() if routes > 1] == []


def test_a_page_without_a_rule_does_not_start() -> None:
    async def unlisted() -> None: ...

    with pytest.raises(KeyError, match="unlisted"):
        page_router().get("/unlisted")(unlisted)


def test_the_pages_can_be_left_out() -> None:
    app = build(http=HttpSettings(api_pages=False), limits=UNLIMITED)

    assert pages_of(app) == set()


@pytest.mark.parametrize("role", ["advisor", "admin", "platform_admin"])
async def test_pages_of_students_are_closed_to_others(
    api: Api, new_browser: Callable[[], Browser], password_hash: str, role: str
) -> None:
    browser = new_browser()
    await browser.sign_in(await api.person(role, password_hash=password_hash))

    page = await browser.open("/learn")

    assert (page.status_code, "You may not open this page" in page.text) == (403, True)


async def test_a_result_is_read_by_the_staff_of_the_organization_only(
    api: Api, new_browser: Callable[[], Browser], password_hash: str
) -> None:
    publication = await api.completed(await api.person())
    statuses = {}
    for elsewhere in (False, True):
        browser = new_browser()
        await browser.sign_in(await api.person("advisor", elsewhere=elsewhere, password_hash=password_hash))
        statuses[elsewhere] = (await browser.open(f"/assessments/{publication.assessment_id}/result")).status_code

    assert statuses == {False: 200, True: 404}


async def test_every_page_forbids_frames_inline_scripts_and_other_hosts(signed_in: Browser) -> None:
    headers = (await signed_in.open("/learn")).headers

    assert headers["Content-Security-Policy"].startswith("default-src 'self';")
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
    assert (headers["Referrer-Policy"], headers["Cache-Control"]) == ("same-origin", "no-store")


async def test_an_unknown_page_is_explained_to_people_and_machines_get_json(browser: Browser) -> None:
    page = await browser.open("/nothing-here")
    document = await browser.client.get("/nothing-here")

    assert (page.status_code, "Page not found" in page.text) == (404, True)
    assert document.json()["error_code"] == "NOT_FOUND_404"


async def test_a_static_file_with_its_hash_is_cached_for_a_year(browser: Browser) -> None:
    page = (await browser.open("/sign-in")).text
    path = page.partition('rel="stylesheet" href="')[2].partition('"')[0]

    hashed, plain = await browser.open(path), await browser.open(path.partition("?")[0])

    assert hashed.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert plain.headers["Cache-Control"] == "no-cache"
