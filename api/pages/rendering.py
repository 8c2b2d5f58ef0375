"""Render templates. Autoescaping is on, and undefined names are errors."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse

from api.pages import texts
from api.pages.navigation import items_for
from api.pages.session import session_of
from api.pages.staff_texts import FLAGS, REASON_KINDS, REASONS, named

_FOLDER: Final = Path(__file__).parent
STATIC: Final = _FOLDER / "static"
STATIC_PATH: Final = "/static"


@dataclass(frozen=True, slots=True)
class Flash:
    """A message about what the user has just done. `kind` is `success`, `info` or `warning`."""

    kind: str
    text: str


FLASHES: Final = {
    "signed_out": Flash("success", texts.mark("You are signed out.")),
    "password_changed": Flash("success", texts.mark("Your password is changed. Your other sessions have ended.")),
    "feedback": Flash("success", texts.mark("Thank you. Your feedback is stored.")),
    "time_over": Flash("info", texts.mark("The time is over. The answers that were stored have been handed in.")),
    "handed_in": Flash("success", texts.mark("Your answers are handed in.")),
    "released": Flash("success", texts.mark("The result is released. The student can see it.")),
    "retried": Flash("success", texts.mark("The degraded parts are being graded again.")),
    "rerun": Flash("success", texts.mark("The assessment is being graded again.")),
    "appeal_answered": Flash("success", texts.mark("Your answer is stored, and the student can read it.")),
    "review_stored": Flash("success", texts.mark("Your review is stored. The result changes within seconds.")),
    "claim_released": Flash("info", texts.mark("You gave the essay back. Others can review it now.")),
    "queue_empty": Flash("info", texts.mark("No essay that matches the filter waits for somebody to review it.")),
}
"""Messages by the key in the query parameter `done`, so that no input is shown."""


@cache
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_callables(texts.gettext, texts.ngettext, newstyle=True)  # type: ignore[attr-defined]  # added by the extension
    made.filters |= {
        "number": texts.number,
        "percent": texts.percent,
        "day": texts.day,
        "moment": texts.moment,
    }
    made.globals |= {"asset": asset, "query": urlencode, "as_time": datetime.fromisoformat}
    made.globals |= {"named": named, "reason_names": REASONS, "reason_kinds": REASON_KINDS, "flag_names": FLAGS}
    return made


@cache
def asset(name: str) -> str:
    """Return the URL of a static file with its hash, so that browsers may keep it for a year."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"{STATIC_PATH}/{name}?v={digest}"


def render(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:  # noqa: ANN401  # templates take any values
    """Render a page or a part of one. `title` in the context is the page's title."""
    language = texts.use_language_of(request)
    session = session_of(request)
    known = {
        "language": language,
        "session": session,
        "csrf": session.csrf if session else "",
        "navigation": items_for(session.principal, request.url.path) if session else (),
        "flash": FLASHES.get(request.query_params.get("done", "")),
        "path": request.url.path,
    }
    return HTMLResponse(environment().get_template(template).render(known | context), status)


def see_other(path: str, **query: str) -> RedirectResponse:
    """Redirect to another page after a form (303). `query` may name a flash message: `done="feedback"`."""
    return RedirectResponse(f"{path}?{urlencode(query)}" if query else path, 303)


def template_names() -> Iterator[str]:
    """Yield all templates, for tests."""
    yield from environment().list_templates()
