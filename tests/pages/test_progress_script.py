"""The script of the progress page, with answers of a server that the test controls."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect

from tests.pages.chromium import chromium, opened_page

STATIC = Path(__file__).parents[2] / "api" / "pages" / "static"
SITE = "http://microcred.test"
PAGE = """<!doctype html><html lang="en"><head><title>Progress</title>
<script src="/static/vendor/htmx.min.js"></script><script type="module" src="/static/progress.js"></script></head>
<body><h1 data-progress-title>Progress</h1><p data-progress-status></p>{stages}</body></html>"""
EVENTS = 'retry: 60000\ndata: {"final": false}\n\ndata: {"final": true}\n\n'


def stages(*, final: bool) -> str:
    fetched = "" if final else ' hx-get="/stages" hx-trigger="progress" hx-swap="outerHTML"'
    data = f'data-title="Progress" data-progress="/events" data-final="{str(final).lower()}"'
    return f'<div id="stages" {data}{fetched}></div>'


def answer(route: Route, body: str, status: int = 200) -> None:
    route.fulfill(status=status, body=body, content_type="text/html")


@pytest.fixture
def page() -> Iterator[Page]:
    with chromium() as browser, opened_page(browser, SITE) as page:
        page.route("**/static/**", lambda route: route.fulfill(path=STATIC / route.request.url.split("/static/")[1]))
        page.route("**/events", lambda route: route.fulfill(body=EVENTS, content_type="text/event-stream"))
        page.route("**/progress", lambda route: answer(route, PAGE.format(stages=stages(final=False))))
        yield page


def test_an_event_while_the_stages_are_loaded_loads_them_again(page: Page) -> None:
    answers = iter([stages(final=False)])
    page.route("**/stages", lambda route: answer(route, next(answers, stages(final=True))))

    page.goto("/progress")

    expect(page.locator("#stages")).to_have_attribute("data-final", "true", timeout=15_000)


def test_stages_that_could_not_be_loaded_are_loaded_again(page: Page) -> None:
    statuses = iter([503])
    page.route("**/stages", lambda route: answer(route, stages(final=True), next(statuses, 200)))

    page.goto("/progress")

    expect(page.locator("#stages")).to_have_attribute("data-final", "true", timeout=15_000)


def test_an_ended_session_leads_to_the_sign_in(page: Page) -> None:
    page.route("**/stages", lambda route: answer(route, "{}", 401))

    page.goto("/progress")
    page.route("**/progress", lambda route: answer(route, "<h1>Sign in</h1>"))

    expect(page.get_by_role("heading", name="Sign in")).to_be_visible(timeout=15_000)
