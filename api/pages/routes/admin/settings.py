"""The settings of the organization, with an explanation of each choice."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from fastapi import Request, Response

from api.dependencies import PrincipalDep, ServicesDep
from api.pages.edits import changed, hidden_fields, hidden_fields_of
from api.pages.form_errors import REFUSALS, FieldErrors, field_errors, whole_number
from api.pages.forms import Form, FormDep
from api.pages.rendering import render, see_other
from api.pages.routes.admin.people import organization_of
from api.pages.routing import page_router
from api.pages.texts import gettext, number
from api.schemas.organization_settings import OrganizationSettingsChange
from api.security.authorization import actor_of
from api.services.organization_settings import change_settings, read_settings

_DAYS: Final = ("appeal_window_days", "appeals_per_role", "appeal_reminder_days", "appeal_overdue_days")
_SHARE: Final = {"": None, "yes": True, "no": False}
"""Values of the form for `share_reviewed_answers`."""
_PERCENTAGES: Final = ("audit_share", "review_target_kappa")
"""Shares of 1 that the page shows in percent."""

settings = page_router(prefix="/admin/settings")


@settings.get("")
async def settings_page(request: Request, services: ServicesDep, principal: PrincipalDep) -> Response:
    stored = await read_settings(organization_of(principal), services.database)
    share = {value: text for text, value in _SHARE.items()}[stored.share_reviewed_answers]
    percentages = {name: number(getattr(stored, name) * 100, 4) for name in _PERCENTAGES}
    given = asdict(stored) | percentages | {"share_reviewed_answers": share}
    untouched = {name: str(value) for name, value in given.items()} | {"blind": "yes" if stored.blind else "no"}
    return _form(request, given, hidden_fields(_sent(untouched)))


@settings.post("")
async def settings_form(request: Request, form: FormDep, services: ServicesDep, principal: PrincipalDep) -> Response:
    try:
        if changes := changed(_sent(form), form):
            change = OrganizationSettingsChange.model_validate(changes)
            await change_settings(organization_of(principal), change, actor_of(principal), services.database)
    except REFUSALS as error:
        given = {name: form.get(name, "") for name in OrganizationSettingsChange.model_fields}
        errors = [(name, _percentage_error(name) or text) for name, text in field_errors(error, _labels())]
        return _form(request, given | {"blind": form.get("blind") == "yes"}, hidden_fields_of(form, given), errors)
    return see_other("/admin/settings", done="settings_saved")


def _sent(form: Form) -> dict[str, Any]:
    """Return the settings in the form. The schema checks them; a text that is no number stays a text."""
    return {
        "release": form.get("release", ""),
        "blind": form.get("blind") == "yes",
        "share_reviewed_answers": _SHARE.get(form.get("share_reviewed_answers", "")),
        **{name: _share(form.get(name, "")) for name in _PERCENTAGES},
        **{name: whole_number(form.get(name, "")) for name in _DAYS},
    }


def _share(text: str) -> float | str:
    """Convert a percentage with a decimal point or comma to a share of 1."""
    plain = text.strip().removesuffix("%").strip().replace(",", ".", 1)
    return round(float(plain) / 100, 6) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", plain) else text


def _percentage_error(name: str) -> str:
    """Return the error of a percentage; "" for other fields. The schema's own text speaks of shares of 1."""
    label = _labels().get(name, "") if name in _PERCENTAGES else ""
    return gettext("%(field)s: enter a percentage from 0 to 100.") % {"field": label} if label else ""


def _labels() -> dict[str, str]:
    return {
        "release": gettext("Release"),
        "audit_share": gettext("Share of confident grades"),
        "review_target_kappa": gettext("Agreement with reviewers"),
        "appeal_window_days": gettext("Days to appeal"),
        "appeals_per_role": gettext("Appeals per student and role"),
        "appeal_reminder_days": gettext("Days until a reminder"),
        "appeal_overdue_days": gettext("Days until an appeal is overdue"),
        "share_reviewed_answers": gettext("Reviewed answers as examples"),
    }


def _form(
    request: Request, given: Mapping[str, Any], hidden: Mapping[str, str], errors: FieldErrors | None = None
) -> Response:
    return render(
        request,
        "admin/settings.html",
        400 if errors else 200,
        title=gettext("Settings"),
        given=given,
        hidden=hidden,
        errors=errors or [],
    )
