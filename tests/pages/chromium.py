"""Debian's Chromium through Playwright: contexts, axe-core and screenshots."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from deploy.local.settings import CHECKOUT

AXE: Final = CHECKOUT / ".local" / "vendor" / "axe.min.js"
SCREENS: Final = CHECKOUT / ".local" / "screens"
PATIENCE_MS: Final = 120_000
"""The longest wait for an element or a page, for busy machines."""
WIDTHS: Final = (360, 1280)
CHECKED: Final = ((360, "dark"), (1280, "light"))
"""Where axe-core runs: each width and each scheme once."""
RULES: Final = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium. Without it, or without axe-core, the test is skipped; with REQUIRE_BROWSER it fails."""
    program = shutil.which("chromium")
    if program is None or not AXE.exists():
        message = "Chromium or axe-core is missing: run `make browser`"
        if os.environ.get("REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    expect.set_options(timeout=PATIENCE_MS)
    with launch(program) as browser:
        yield browser


@contextmanager
def launch(program: str) -> Iterator[Browser]:
    """Run Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened_page(browser: Browser, url: str) -> Iterator[Page]:
    """Open a page of a new browser context without cookies. Fail if a script fails or the page's policy is violated."""
    context = browser.new_context(base_url=url, locale="en-GB", timezone_id="Europe/Berlin")
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda said: problems.append(said.text) if "Content Security Policy" in said.text else None)
    yield page
    context.close()
    assert problems == []


def violations(page: Page) -> list[str]:
    """Run axe-core on the page as it is now. Return each violation with the elements that it concerns."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(f"() => {{ {AXE.read_text()} }}")  # not as a script element, which the page's policy refuses
    found: list[dict[str, Any]] = page.evaluate(
        "rules => axe.run(document, {runOnly: {type: 'tag', values: rules}}).then(result => result.violations)",
        list(RULES),
    )
    return [f"{each['id']}: {node['html'][:160]}" for each in found for node in each["nodes"]]


def screens(page: Page, name: str) -> list[str]:
    """Write screenshots at both widths in light and dark, and return what axe-core finds in each."""
    SCREENS.mkdir(parents=True, exist_ok=True)
    before = page.viewport_size
    found = []
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # no colours in transition
            if (width, scheme) in CHECKED:
                found += [f"{name} at {width}, {scheme}: {each}" for each in violations(page)]
            wide = page.evaluate("() => document.documentElement.scrollWidth > document.documentElement.clientWidth")
            found += [f"{name} at {width}: the page scrolls sideways"] * wide
            page.screenshot(path=SCREENS / f"{name}-{width}-{scheme}.png", full_page=True)
    page.emulate_media(color_scheme="light")
    if before:
        page.set_viewport_size(before)
    return found
