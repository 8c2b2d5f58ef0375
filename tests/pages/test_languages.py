"""Pages in the language of the browser or of the user: texts, numbers, dates and errors."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from activities.advance_rescore import BROKEN
from api.pages import texts
from api.pages.problem_texts import translated
from api.services.rescores import stop_message
from domain.errors import InvalidInput
from domain.grading.scores import DegradedReason
from domain.ids import derived_id
from domain.rescores.comparison import (
    ANSWER_DELETED,
    NO_SCORE,
    QUESTION_CHANGED_AGAIN,
    QUESTION_WITHDRAWN,
    REVIEW_DOES_NOT_FIT,
)
from persistence.content.catalog_rows import CatalogEntry, check_rows, read_rows
from tests.api.conftest import Api, Person
from tests.pages.admin import admin  # noqa: F401  # a fixture
from tests.pages.conftest import Browser
from tests.pages.test_taking import Attempt, attempt  # noqa: F401  # a fixture

_ROW: dict[str, object] = {
    "key": "sql",
    "title": "SQL basics",
    "description": "Learn to query tables.",
    "skills": ["SQL querying"],
    "level": "foundation",
    "hours": Decimal(3),
    "provider": "Example School",
    "source_uri": "https://school.example/sql",
    "prerequisites": [],
}
_WRONG: list[dict[str, object]] = [
    {"title": ""},
    {"title": " "},
    {"title": "x" * 600},
    {"hours": Decimal(0)},
    {"hours": Decimal("1.234")},
    {"hours": Decimal("NaN")},
    {"hours": "many"},
    {"level": "expert"},
    {"skills": []},
    {"skills": ["SQL", "SQL"]},
    {"skills": ["SQL"] * 60},
    {"source_uri": "nowhere"},
    {"source_uri": "https://user:word@school.example"},
    {"source_uri": "https://school.example/\\"},
    {"key": "no spaces"},
    {"prerequisites": ["sql"]},
    {"prerequisites": ["other"]},
    {"active": "maybe"},
    {"price": 3},
]

ENGLISH, GERMAN = {"Accept-Language": "en"}, {"Accept-Language": "de"}


@pytest.fixture
def in_german() -> Iterator[None]:
    token = texts._current.set("de")
    yield
    texts._current.reset(token)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("fr;q=0.9, en;q=0.1, DE ; q=0.5", "de"),
        ("de;q=0, en", "en-GB"),
        ("fr", "en-GB"),
        ("", "en-GB"),
        ("de;level=1;q=x,;q=1,,*", "en-GB"),
    ],
)
async def test_the_pages_follow_the_language_of_the_browser(browser: Browser, header: str, language: str) -> None:
    page = await browser.open("/sign-in", **{"Accept-Language": header})

    assert f'<html lang="{language}" dir="ltr">' in page.text


async def test_the_choice_of_the_user_comes_before_the_language_of_the_browser(signed_in: Browser) -> None:
    answer = await signed_in.send("/account/language", {"language": "de"})

    assert answer.headers["Location"] == "/account/language?done=language_chosen"
    assert "<h1>Meine Tests</h1>" in (await signed_in.open("/learn", **ENGLISH)).text
    assert 'value="de" checked' in (await signed_in.open("/account/language", **ENGLISH)).text


@pytest.mark.parametrize("language", ["", "xx"])
async def test_without_a_valid_choice_the_pages_follow_the_browser(signed_in: Browser, language: str) -> None:
    await signed_in.send("/account/language", {"language": "de"})

    await signed_in.send("/account/language", {"language": language})

    assert "<h1>My assessments</h1>" in (await signed_in.open("/learn", **ENGLISH)).text


async def test_the_language_can_be_chosen_before_an_initial_password_is_replaced(
    api: Api, browser: Browser, password_hash: str
) -> None:
    await browser.sign_in(await api.person(password_hash=password_hash, must_change_password=True))

    await browser.send("/account/language", {"language": "de"})

    assert "Passwort ändern" in (await browser.open("/account/password", **ENGLISH)).text


async def test_a_number_is_shown_as_the_language_writes_it(attempt: Attempt) -> None:  # noqa: F811
    question = attempt.question("number")

    await attempt.browser.send(question, {"answer": "12,5"}, **GERMAN)

    assert 'value="12,5"' in (await attempt.browser.open(question, **GERMAN)).text
    assert 'value="12.5"' in (await attempt.browser.open(question, **ENGLISH)).text


async def test_the_days_left_are_one_phrase_of_the_language(attempt: Attempt) -> None:  # noqa: F811
    assert "noch 2 Tage 23 Std." in (await attempt.browser.open("/learn", **GERMAN)).text
    assert "2 days 23 h left" in (await attempt.browser.open("/learn", **ENGLISH)).text


async def test_a_refused_answer_is_explained_in_the_language(attempt: Attempt) -> None:  # noqa: F811
    answer = await attempt.browser.send(attempt.question("number"), {"answer": "1.2.3"}, **GERMAN)

    assert answer.status_code == 400
    assert "Ihre Antwort muss eine Zahl wie 12,5 oder 12.5 sein, ohne Tausendertrennzeichen." in answer.text


@pytest.mark.usefixtures("admin")
async def test_a_problem_that_the_schema_describes_is_explained_in_the_language(browser: Browser) -> None:
    answer = await browser.send("/admin/settings", {"release": "at_once", "appeal_window_days": "999"}, **GERMAN)

    assert "Tage für einen Einspruch: darf höchstens 365 sein" in answer.text


async def test_a_page_that_is_forbidden_says_so_in_the_language(
    api: Api, new_browser: Callable[[], Browser], password_hash: str
) -> None:
    browser = new_browser()
    await browser.sign_in(await api.person("advisor", password_hash=password_hash))

    page = await browser.open("/learn", **GERMAN)

    assert "<h1>Sie dürfen diese Seite nicht öffnen</h1>" in page.text


async def test_english_texts_of_the_engine_are_marked_on_a_german_page(
    api: Api, signed_in: Browser, student: Person
) -> None:
    publication = await api.completed(student)

    page = await signed_in.open(f"/assessments/{publication.assessment_id}/result", **GERMAN)

    assert "Kurz gesagt" in page.text
    assert '<p class="summary preserve" lang="en" dir="ltr">' in page.text


@pytest.mark.usefixtures("in_german")
@pytest.mark.parametrize(
    "reason",
    [
        *(each.text for each in DegradedReason if not each.of_search),
        *(stop_message("unknown"), BROKEN, "The question's kind changed from single to number."),
        *(ANSWER_DELETED, NO_SCORE, QUESTION_CHANGED_AGAIN, QUESTION_WITHDRAWN, REVIEW_DOES_NOT_FIT),
    ],
)
def test_the_reasons_on_the_page_of_a_rescore_are_translated(reason: str) -> None:
    assert translated(reason) != reason


@pytest.mark.usefixtures("in_german")
def test_dates_percentages_and_amounts_are_written_in_the_language() -> None:
    assert texts.moment(datetime(2026, 11, 28, 13, 4, tzinfo=UTC)) == "28.11.2026, 13:04 UTC"
    assert texts.percent(0.64) == "64\u00a0%"
    assert texts.number(1234.5) == "1.234,5"
    assert texts.money(Decimal(123450)) == "1.234,50\u00a0$"


@pytest.mark.usefixtures("in_german")
@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        ("must be at least 1 and at most 5", "muss mindestens 1 und darf höchstens 5 sein"),
        ("Input should be less than or equal to 100", "darf höchstens 100 sein"),
        ("Input should be a valid integer", "muss eine ganze Zahl sein"),
        ("must have at most 200 characters", "darf höchstens 200 Zeichen haben"),
        (
            "Assessment is awaiting_async, there is no result to release",
            "Es gibt kein Ergebnis zum Freigeben. Zustand des Tests: Wird bewertet",
        ),
        (
            "Assessment is completed and cannot become awaiting_async",
            "Das ist jetzt nicht möglich. Zustand des Tests: Abgeschlossen",
        ),
        ("The appeal is upheld already", "Der Einspruch ist schon abgeschlossen. Sein Zustand: Stattgegeben"),
        (
            "is only for students; this account's role is advisor",
            "ist nur für Lernende. Rolle dieses Kontos: Beratung",
        ),
        (
            "The stored answer does not fit the current question: must be at least 5.",
            "Die gespeicherte Antwort passt nicht zur aktuellen Frage: muss mindestens 5 sein.",
        ),
        ("has more than 10,000 rows", "hat zu viele Zeilen"),
        ("List should have at most 20 items after validation, not 21", "darf höchstens 20 Einträge haben"),
        ("The account is disabled. Enable it first", "Das Konto ist gesperrt. Entsperren Sie es zuerst"),
        (
            "A request with this idempotency key is still in progress. Try again later",
            "Dieses Formular wird gerade bearbeitet. Versuchen Sie es gleich noch einmal",
        ),
        ("is unheard of", "is unheard of"),
    ],
)
def test_a_problem_is_translated_with_its_values(problem: str, expected: str) -> None:
    assert translated(problem) == expected


@pytest.mark.usefixtures("in_german")
@pytest.mark.parametrize("wrong", _WRONG, ids=str)
def test_the_problems_of_catalogue_rows_are_translated(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_rows(read_rows([_ROW | wrong]), {}, frozenset())

    assert [each for each in refused.value.problems if translated(each.problem) == each.problem] == []


@pytest.mark.usefixtures("in_german")
def test_the_warnings_of_catalogue_rows_are_translated() -> None:
    rows = [_ROW | {"prerequisites": ["old"]}, {"key": "old", "active": False}]
    known = CatalogEntry(
        id=derived_id("credential", "old"), key="old", version="", active=False, source=None, prerequisites=()
    )
    reports = check_rows(read_rows(rows), {known.id: known}, frozenset())
    unknown = check_rows(read_rows([{"key": "old", "active": False}]), {}, frozenset())

    warnings = [each for report in (*reports, *unknown) for each in report.warnings]

    assert len(warnings) == 3
    assert [each for each in warnings if translated(each) == each] == []
