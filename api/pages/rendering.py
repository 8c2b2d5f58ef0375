"""Render templates. Autoescaping is on, and undefined names are errors."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlencode
from uuid import uuid4

from fastapi import Request
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse, RedirectResponse

from api.pages import texts
from api.pages.navigation import current_label, navigation_for
from api.pages.problem_texts import translated
from api.pages.session import session_of
from api.pages.staff_texts import FLAGS, REASON_KINDS, REASONS, named
from api.pages.workflow_links import run_url

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
    "language_chosen": Flash("success", texts.mark("The language is changed.")),
    "password_set": Flash("success", texts.mark("Your password is set. Sign in with it.")),
    "feedback": Flash("success", texts.mark("Thank you. Your feedback is stored.")),
    "time_over": Flash("info", texts.mark("The time is over. The answers that were stored have been handed in.")),
    "appealed": Flash("success", texts.mark("Your appeal is sent. You find the answer on this page.")),
    "withdrawn": Flash("success", texts.mark("Your appeal is withdrawn.")),
    "handed_in": Flash("success", texts.mark("Your answers are handed in.")),
    "person_created": Flash("success", texts.mark("The account is created. Give the person their initial password.")),
    "person_invited": Flash("success", texts.mark("The account is created. Now send the person a link.")),
    "link_mailed": Flash("success", texts.mark("The link is on its way. Reload this page to see when it is sent.")),
    "person_changed": Flash("success", texts.mark("The changes are saved.")),
    "person_time_saved": Flash("success", texts.mark("The time is saved. It counts from the next start on.")),
    "person_disabled": Flash("success", texts.mark("The account is disabled.")),
    "person_enabled": Flash("success", texts.mark("The account is enabled.")),
    "person_password_set": Flash("success", texts.mark("The password is set. Give it to the person.")),
    "person_erased": Flash("success", texts.mark("The person is being erased.")),
    "roster_imported": Flash("success", texts.mark("The roster is imported.")),
    "cohort_created": Flash("success", texts.mark("The cohort is created.")),
    "cohort_renamed": Flash("success", texts.mark("The cohort is renamed.")),
    "cohort_deleted": Flash("success", texts.mark("The cohort is deleted.")),
    "member_added": Flash("success", texts.mark("The student is added.")),
    "member_removed": Flash("success", texts.mark("The student is removed.")),
    "settings_saved": Flash("success", texts.mark("The settings are saved.")),
    "api_key_revoked": Flash("success", texts.mark("The key is revoked. It stops working within a minute.")),
    "endpoint_changed": Flash("success", texts.mark("The endpoint is changed.")),
    "endpoint_enabled": Flash("success", texts.mark("The endpoint is enabled. You can now deliver what it missed.")),
    "endpoint_disabled": Flash("success", texts.mark("The endpoint is disabled.")),
    "endpoint_deleted": Flash("success", texts.mark("The endpoint is deleted.")),
    "test_sent": Flash("success", texts.mark("The test event is sent. Reload this page to see the answer.")),
    "redelivered": Flash("success", texts.mark("The event is sent again. Reload this page to see the answer.")),
    "rerun": Flash("success", texts.mark("The assessment is being graded again.")),
    "not_rerun": Flash("info", texts.mark("The assessment has not failed any more, or cannot be run again.")),
    "organization_created": Flash("success", texts.mark("The organization and its first admin are created.")),
    "catalog_imported": Flash("success", texts.mark("All rows are imported.")),
    "already_sent": Flash("info", texts.mark("This form was sent before. Nothing was done again.")),
    "recovered": Flash("success", texts.mark("All failed and missed events are sent again.")),
    "recovered_some": Flash("info", texts.mark("200 events are sent again. There are more: repeat it.")),
    "recovered_nothing": Flash("info", texts.mark("No event of this period has failed or was missed.")),
    "released": Flash("success", texts.mark("The result is released. The student can see it.")),
    "nothing_selected": Flash("warning", texts.mark("Nothing was released. Select at least one result.")),
    "retried": Flash("success", texts.mark("The degraded parts are being graded again.")),
    "appeal_answered": Flash("success", texts.mark("Your answer is stored, and the student can read it.")),
    "review_stored": Flash("success", texts.mark("Your review is stored. The result changes within seconds.")),
    "rescore_requested": Flash("success", texts.mark("The dry run has started. Nothing is published.")),
    "rescore_applied": Flash("success", texts.mark("The changes are being published.")),
    "rescore_discarded": Flash("success", texts.mark("The re-score is discarded. No result changes.")),
    "rescore_changed": Flash("info", texts.mark("Nothing was done, because another admin has changed this re-score.")),
    "rescore_nothing": Flash("info", texts.mark("No change was left to apply.")),
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
    made.install_gettext_callables(  # type: ignore[attr-defined]  # added by the extension
        texts.gettext, texts.ngettext, newstyle=True, pgettext=texts.pgettext, npgettext=texts.npgettext
    )
    made.filters |= {
        "number": texts.number,
        "exact": texts.exact,
        "percent": texts.percent,
        "money": texts.money,
        "day": texts.day,
        "moment": texts.moment,
    }
    made.globals |= {"asset": asset, "query": urlencode, "as_time": datetime.fromisoformat, "fresh_id": uuid4}
    made.globals |= {"named": named, "reason_names": REASONS, "reason_kinds": REASON_KINDS, "flag_names": FLAGS}
    made.globals |= {"translated": translated}
    return made


@cache
def asset(name: str) -> str:
    """Return the URL of a static file with its hash, so that browsers may keep it for a year."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return f"{STATIC_PATH}/{name}?v={digest}"


def render(request: Request, template: str, status: int = 200, **context: Any) -> HTMLResponse:  # noqa: ANN401  # templates take any values
    """Render a page or a part of one. `title` in the context is the page's title."""
    texts.use_language_of(request)
    session = session_of(request)
    navigation = navigation_for(session.principal, request.url.path) if session else ()
    known = {
        "language": texts.language_tag(),
        "direction": texts.direction(),
        "session": session,
        "csrf": session.csrf if session else "",
        "navigation": navigation,
        "current_label": current_label(navigation),
        "flash": FLASHES.get(request.query_params.get("done", "")),
        "path": request.url.path,
        "run_url": lambda kind, subject_id: run_url(
            request.app.state.services.settings, session.principal if session else None, kind, subject_id
        ),
    }
    return HTMLResponse(environment().get_template(template).render(known | context), status)


def see_other(path: str, fragment: str = "", **query: str) -> RedirectResponse:
    """Redirect to another page after a form (303), or to an element of it.

    `query` may name a flash message: `done="feedback"`.
    """
    target = f"{path}?{urlencode(query)}" if query else path
    return RedirectResponse(f"{target}#{fragment}" if fragment else target, 303)


def template_names() -> Iterator[str]:
    """Yield all templates, for tests."""
    yield from environment().list_templates()
