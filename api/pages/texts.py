"""Translate texts and format numbers and times in the locale of a request. English is the source language."""

from contextvars import ContextVar
from datetime import datetime
from decimal import Decimal
from functools import cache
from math import ceil
from pathlib import Path
from typing import Final

from babel import Locale, negotiate_locale
from babel.dates import format_date, format_datetime
from babel.numbers import format_currency, format_decimal, format_percent
from babel.support import NullTranslations, Translations
from fastapi import Request

CATALOGUES: Final = Path(__file__).parent / "locales"
DOMAIN: Final = "messages"
SOURCE: Final = "en"

_current: ContextVar[str] = ContextVar("locale", default=SOURCE)


@cache
def languages() -> tuple[str, ...]:
    """Return the languages that the pages speak: English, and each with a compiled catalogue."""
    return (SOURCE, *sorted(each.parents[1].name for each in CATALOGUES.glob(f"*/LC_MESSAGES/{DOMAIN}.mo")))


@cache
def _translations(language: str) -> NullTranslations:
    return Translations.load(str(CATALOGUES), [language], DOMAIN)


def use_language_of(request: Request) -> str:
    """Choose the language for this request from `Accept-Language` and return it."""
    wanted = [each.partition(";")[0].strip() for each in request.headers.get("accept-language", "").split(",")[:10]]
    language = negotiate_locale([each.replace("-", "_") for each in wanted if each], languages()) or SOURCE
    _current.set(language)
    return language


def mark(message: str) -> str:
    """Mark a message for extraction. It is translated when it is shown."""
    return message


def gettext(message: str) -> str:
    return str(_translations(_current.get()).ugettext(message))


def ngettext(singular: str, plural: str, number: float) -> str:
    """Choose the form for the number. A fraction takes the form of the next whole number."""
    return str(_translations(_current.get()).ungettext(singular, plural, ceil(number)))


def _locale() -> Locale:
    language = _current.get()
    return Locale.parse("en_GB" if language == SOURCE else language)


def number(value: float, places: int = 2) -> str:
    """Format a number with at most `places` decimals."""
    return str(format_decimal(value, format=f"#,##0.{'#' * places}" if places else "#,##0", locale=_locale()))


def percent(value: float | None) -> str:
    """Format a share of 1 as a percentage; a dash for None."""
    return "–" if value is None else str(format_percent(value, locale=_locale()))


def money(cents: Decimal) -> str:
    """Format an amount of US cents in dollars."""
    return str(format_currency(cents / 100, "USD", locale=_locale()))


def day(value: datetime) -> str:
    return str(format_date(value, "d MMM y", locale=_locale()))


def moment(value: datetime) -> str:
    """Format a time in UTC. The browser replaces it by the local time."""
    return f"{format_datetime(value, 'd MMM y, HH:mm', locale=_locale())} UTC"
