"""Translate texts and format numbers and times in the language of a request. English is the source language."""

import re
from contextvars import ContextVar
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from io import BytesIO
from math import ceil
from pathlib import Path
from typing import Final

from babel import Locale, negotiate_locale
from babel.dates import format_date, format_time, get_datetime_format
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_currency, format_decimal, format_percent, get_decimal_symbol
from babel.support import NullTranslations, Translations
from fastapi import Request

from api.pages.session import session_of
from domain.decimals import plain

CATALOGUES: Final = Path(__file__).parent / "locales"
DOMAIN: Final = "messages"
SOURCE: Final = "en"
_SOURCE_LOCALE: Final = "en_GB"
"""How numbers and dates are written in the source language."""
_PERCENT: Final = "#,##0\u00a0%"
"""In every language with a space, as in the stored texts of results."""
_MAX_ACCEPTED: Final = 10
_ACCEPTED: Final = re.compile(
    r"\s*(?P<name>[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*)\s*(;\s*q\s*=\s*(?P<weight>[01](\.[0-9]{0,3})?)\s*)?"
)

_current: ContextVar[str] = ContextVar("locale", default=SOURCE)


@cache
def languages() -> tuple[str, ...]:
    """Return the languages that the pages speak: English, and each with a catalogue."""
    return (SOURCE, *sorted(each.parents[1].name for each in CATALOGUES.glob(f"*/LC_MESSAGES/{DOMAIN}.po")))


@cache
def translations(language: str) -> NullTranslations:
    """Read the catalogue of a language. It is compiled in memory, so no compiled file can be out of date."""
    if language == SOURCE:
        return NullTranslations()
    compiled = BytesIO()
    with (CATALOGUES / language / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return Translations(compiled, DOMAIN)


def load_catalogues() -> None:
    """Read all catalogues, so that no request waits for it."""
    for language in languages():
        translations(language)


def use_language_of(request: Request) -> str:
    """Choose the language for this request and return it: the user's choice, else the one of `Accept-Language`."""
    session = session_of(request)
    chosen = session.view.language if session else None
    accepted = request.headers.get("accept-language", "")
    language = chosen if chosen and chosen in languages() else _accepted_language(accepted)
    _current.set(language)
    return language


def _accepted_language(header: str) -> str:
    found = filter(None, map(_ACCEPTED.fullmatch, header.split(",")[:_MAX_ACCEPTED]))
    weights = {each["name"].replace("-", "_"): float(each["weight"] or 1) for each in found}
    wanted = sorted((each for each, weight in weights.items() if weight), key=lambda each: -weights[each])
    known = {each.lower(): each for each in languages()}
    return known[(negotiate_locale(wanted, languages()) or SOURCE).lower()]


def mark(message: str) -> str:
    """Mark a message for extraction. It is translated when it is shown."""
    return message


def gettext(message: str) -> str:
    return str(translations(_current.get()).ugettext(message))


def ngettext(singular: str, plural: str, number: float) -> str:
    """Choose the form for the number. A fraction takes the form of the next whole number."""
    return str(translations(_current.get()).ungettext(singular, plural, ceil(number)))


def pgettext(context: str, message: str) -> str:
    """Translate a message that has several meanings in English. `context` says which one is meant."""
    return str(translations(_current.get()).upgettext(context, message))


def npgettext(context: str, singular: str, plural: str, number: float) -> str:
    return str(translations(_current.get()).unpgettext(context, singular, plural, ceil(number)))


def _locale() -> Locale:
    language = _current.get()
    return Locale.parse(_SOURCE_LOCALE if language == SOURCE else language)


def language_tag() -> str:
    """Return the locale of this request for `lang` and for the formats of scripts, for example `en-GB`."""
    return str(_locale()).replace("_", "-")


def direction() -> str:
    """Return the direction of this request's language: `ltr` or `rtl`."""
    return str(_locale().text_direction)


def language_names() -> dict[str, str]:
    """Return the languages of the pages with their names in themselves."""
    return {each: str(Locale.parse(each).get_display_name(each)).capitalize() for each in languages()}


def number(value: float, places: int = 2) -> str:
    """Format a number with at most `places` decimals."""
    return str(format_decimal(value, format=f"#,##0.{'#' * places}" if places else "#,##0", locale=_locale()))


def exact(value: Decimal) -> str:
    """Format a number with all its digits and without groups, as an answer is entered: 12.5 or 12,5."""
    symbol = str(get_decimal_symbol(_locale()))
    return plain(value).replace(".", symbol) if symbol == "," else plain(value)


def percent(value: float | None) -> str:
    """Format a share (0..1) as a percentage, such as "64 %". A missing share is shown as a dash."""
    if value is None:
        return "–"
    return str(format_percent(value, format=_PERCENT, locale=_locale()))


def money(cents: Decimal) -> str:
    """Format an amount of US cents in dollars."""
    return str(format_currency(cents / 100, "USD", locale=_locale()))


def day(value: date) -> str:
    return str(format_date(value, "medium", locale=_locale()))


def moment(value: datetime) -> str:
    """Format a time in UTC. The browser replaces it by the local time."""
    pattern = str(get_datetime_format("medium", locale=_locale())).replace("'", "")
    return f"{pattern.format(format_time(value, 'short', locale=_locale()), day(value))} UTC"
