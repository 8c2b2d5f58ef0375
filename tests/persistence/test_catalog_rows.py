"""Rows of an import are validated one by one: valid rows become credentials, problems name their row."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from domain.errors import InvalidInput, Problem
from persistence.content.catalog_rows import MAX_ROWS, REPORTED, CatalogEntry, Outcome, check_rows, read_rows
from persistence.content.rows import FILES
from tests.persistence.catalogues import SKILL, an_entry, id_of


def problems(*entries: object) -> list[tuple[int | None, str, str]]:
    with pytest.raises(InvalidInput) as raised:
        check_rows(read_rows(entries), {}, frozenset())
    return [(each.row, each.field, each.problem) for each in raised.value.problems]


def test_a_row_becomes_a_credential_with_the_id_that_its_key_gives() -> None:
    first, again = (read_rows([an_entry("A-101.b:c_d")]).rows[0] for _ in range(2))

    assert first.credential
    assert first.credential == again.credential
    assert (first.credential.key, first.credential.hours, first.id) == ("A-101.b:c_d", Decimal("7.5"), again.id)


def test_hours_may_be_whole() -> None:
    assert read_rows([an_entry("a", hours=6)]).problems == []


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"key": "a/b"}, "key", "pattern"),
        ({"key": "k" * 129}, "key", "at most 128"),
        ({"key": None}, "key", "valid string"),
        ({"title": "  "}, "title", "must not be empty"),
        ({"title": "t" * 501}, "title", "at most 500"),
        ({"description": "d" * 100_000}, "description", "at most 20000"),
        ({"description": 1}, "description", "valid string"),
        ({"skills": []}, "skills", "at least 1"),
        ({"skills": ["a", "a"]}, "skills", "must not repeat"),
        ({"skills": [" "]}, "skills", "must not be empty"),
        ({"skills": ["\u200b"]}, "skills", "must not be empty"),
        ({"skills": ["a b", "a\u00a0b"]}, "skills", "must not repeat"),
        ({"title": "\u3164"}, "title", "must not be empty"),
        ({"skills": ["s" * 201]}, "skills.0", "at most 200"),
        ({"skills": [str(n) for n in range(51)]}, "skills", "at most 50"),
        ({"skills": "SQL"}, "skills", "valid list"),
        ({"level": "expert"}, "level", "'foundation', 'intermediate' or 'advanced'"),
        ({"hours": 0}, "hours", "above 0"),
        ({"hours": Decimal("1.234")}, "hours", "2 decimal places"),
        ({"hours": True}, "hours", "must be a number"),
        ({"hours": "6"}, "hours", "must be a number"),
        ({"hours": 100_000}, "hours", "at most 99999"),
        ({"source_uri": "javascript:alert(1)"}, "source_uri", "pattern"),
        ({"source_uri": "ftp://example.org/a"}, "source_uri", "pattern"),
        ({"source_uri": "https:///nowhere"}, "source_uri", "pattern"),
        ({"source_uri": "https://example.org/a b"}, "source_uri", "pattern"),
        ({"source_uri": "https://[bad/x"}, "source_uri", "is not a valid URL"),
        ({"source_uri": "https://%5Bbad/x"}, "source_uri", "is not a valid URL"),
        ({"source_uri": "https://example.org:99999/"}, "source_uri", "is not a valid URL"),
        ({"source_uri": "https://example.org:0/"}, "source_uri", "is not a valid URL"),
        ({"source_uri": "https://example.org:80a/"}, "source_uri", "is not a valid URL"),
        ({"source_uri": "https://1.2.3.400/"}, "source_uri", "is not a valid URL"),
        ({"source_uri": "https://."}, "source_uri", "is not a valid URL"),
        ({"source_uri": "https://example..org/"}, "source_uri", "is not a valid URL"),
        ({"source_uri": "https://user:pass@example.org/"}, "source_uri", "user name or a password"),
        ({"source_uri": "https://example.org\\@evil.example/"}, "source_uri", "backslashes"),
        ({"source_uri": "https://example\u200b.org/"}, "source_uri", "invisible"),
        ({"source_uri": "https://example.org/\u202egpj"}, "source_uri", "invisible"),
        ({"prerequisites": ["a/b"]}, "prerequisites.0", "pattern"),
        ({"prerequisites": ["fine", "fine"]}, "prerequisites", "must not repeat"),
        ({"prerequisites": ["key"], "key": "key"}, "prerequisites", "must not name itself"),
        ({"active": "no"}, "active", "valid boolean"),
        ({"price": 3}, "row", "unknown field"),
    ],
)
def test_problems_name_row_and_field(changes: dict[str, Any], field: str, problem: str) -> None:
    ((row, found_field, found),) = problems(an_entry("fine"), an_entry("bad") | changes)

    assert (row, found_field) == (2, field)
    assert problem in found


@pytest.mark.parametrize(
    "link",
    [
        "https://example.org",
        "http://example.org:8080/a?b=c#d",
        "https://[2001:db8::1]/x",
        "https://käse.example/ä",
        "https://example.org./a",
    ],
)
def test_a_link_that_every_client_can_parse_is_stored_as_it_was_written(link: str) -> None:
    (row,) = read_rows([an_entry("a", source_uri=link)]).rows

    assert row.credential
    assert row.credential.source_uri == link


def test_names_that_look_alike_are_stored_in_one_form() -> None:
    alike = {
        "key": "a\u200b ",
        "level": "foundation ",
        "skills": ["Cafe\u0301\u00a0service"],
        "prerequisites": [" b\u00a0"],
    }

    (row,) = read_rows([an_entry("a") | alike]).rows

    assert row.credential
    assert (row.key, row.credential.skills, row.credential.level) == ("a", ("Café service",), "foundation")
    assert row.prerequisites.keys() == {"b"}


def test_keys_that_look_alike_are_the_same_key() -> None:
    entry = an_entry("a")

    assert problems(entry, entry | {"key": " a"}, entry | {"key": "\ufeffa", "level": "expert"}) == [
        (2, "key", "is also the key of row 1"),
        (3, "key", "is also the key of row 1"),
        (3, "level", "Input should be 'foundation', 'intermediate' or 'advanced'"),
    ]


def test_a_row_with_many_unknown_fields_has_one_problem() -> None:
    found = problems(an_entry("a", hours=0) | {f"k{number}": 1 for number in range(10_000)})

    assert [(row, field) for row, field, _ in found] == [(1, "row")]


def test_missing_fields_are_named() -> None:
    assert {field for _, field, _ in problems({"key": "a"})} == {
        *("title", "description", "skills", "level", "hours", "provider", "source_uri")
    }


def test_all_problems_of_a_row_are_reported_at_once() -> None:
    entry = an_entry("a", title=" ", skills=["x", "x"], hours=0, prerequisites=["b", "a", "b"], source_uri="ftp://a")
    del entry["provider"]

    assert {field: problem for _, field, problem in problems(entry)} == {
        "title": "must not be empty",
        "skills": "must not repeat",
        "hours": "must be above 0 and at most 99999",
        "provider": "Field required",
        "source_uri": "String should match pattern '^https?://[^\\s/?#]\\S*$'",
        "prerequisites": "must not repeat",
    }


def test_an_invalid_row_is_also_compared_with_the_catalogue() -> None:
    files = replace(a_known("a", "b"), source=FILES, prerequisites=())
    known = replace(a_known("b", "a"), prerequisites=())
    entry = an_entry("a", hours=0, prerequisites=["b", "c"])

    with pytest.raises(InvalidInput) as raised:
        check_rows(read_rows([entry]), {files.id: files, known.id: known}, frozenset())

    assert [(each.field, each.problem) for each in raised.value.problems] == [
        ("hours", "must be above 0 and at most 99999"),
        ("key", "belongs to the content files; an import cannot change it"),
        ("prerequisites", "c is neither in the catalogue nor in this import"),
    ]


def test_one_problem_of_one_row_is_counted_in_the_singular() -> None:
    with pytest.raises(InvalidInput) as raised:
        check_rows(read_rows([an_entry("a", hours=0)]), {}, frozenset())

    assert raised.value.message == "Nothing was imported: 1 problem in 1 of 1 row"


def test_a_row_must_be_an_object() -> None:
    assert problems("text") == [(1, "row", "must be an object")]


def test_names_of_unknown_fields_and_invalid_keys_are_not_quoted() -> None:
    with pytest.raises(InvalidInput) as raised:
        check_rows(read_rows([an_entry("<marquee>", secret_field=1)]), {}, frozenset())

    assert "marquee" not in str(raised.value.problems)
    assert "secret_field" not in str(raised.value.problems)


def test_a_key_that_occurs_twice_is_refused_even_where_one_row_withdraws() -> None:
    assert problems(an_entry("a"), {"key": "a", "active": False}) == [(2, "key", "is also the key of row 1")]


def test_a_prerequisite_must_be_in_the_catalogue_or_the_import() -> None:
    assert problems(an_entry("a", prerequisites=["b"])) == [
        (1, "prerequisites", "b is neither in the catalogue nor in this import")
    ]


def test_a_prerequisite_with_an_invalid_row_is_not_a_second_problem() -> None:
    refused = an_entry("b", level="expert")
    ((row, field, _),) = problems(an_entry("a", prerequisites=["b"]), refused)
    assert (row, field) == (2, "level")


def test_a_key_that_occurs_twice_is_reported_with_the_other_problems_of_its_rows() -> None:
    found = problems(an_entry("a", level="expert"), an_entry("a"), an_entry("a", level="expert"))
    assert [(row, field) for row, field, _ in found] == [(1, "level"), (2, "key"), (3, "key"), (3, "level")]


def test_a_withdrawal_of_an_unknown_credential_is_no_prerequisite() -> None:
    assert problems(an_entry("a", prerequisites=["b"]), {"key": "b", "active": False}) == [
        (1, "prerequisites", "b is neither in the catalogue nor in this import")
    ]


def test_a_cycle_of_prerequisites_is_named() -> None:
    circle = [an_entry("a", prerequisites=["c"]), an_entry("b", prerequisites=["a"])]

    ((row, field, problem),) = problems(*circle, an_entry("c", prerequisites=["b"]))

    assert (row, field) == (1, "prerequisites")
    assert problem.removeprefix("form a cycle: ") in {
        *("a needs c needs b needs a", "c needs b needs a needs c", "b needs a needs c needs b")
    }


def test_a_cycle_that_is_in_the_catalogue_already_is_named_without_a_row() -> None:
    catalogue = {id_of(key): a_known(key, needs) for key, needs in (("a", "b"), ("b", "a"))}

    with pytest.raises(InvalidInput) as raised:
        check_rows(read_rows([an_entry("c", prerequisites=["a"])]), catalogue, frozenset())

    (problem,) = raised.value.problems
    assert (problem.row, problem.field) == (None, "prerequisites")
    assert problem.problem in {"form a cycle: a needs b needs a", "form a cycle: b needs a needs b"}


def test_an_import_can_correct_a_cycle_in_the_catalogue() -> None:
    catalogue = {id_of(key): a_known(key, needs) for key, needs in (("a", "b"), ("b", "a"))}

    (report,) = check_rows(read_rows([an_entry("a")]), catalogue, frozenset({SKILL}))

    assert report.status is Outcome.CHANGED


def a_known(key: str, needs: str) -> CatalogEntry:
    return CatalogEntry(
        id=id_of(key), key=key, version="earlier", active=True, source="import", prerequisites=(id_of(needs),)
    )


def test_a_long_cycle_is_abbreviated() -> None:
    keys = [f"k{number}" for number in range(5_000)]

    ((_, _, problem),) = problems(*(an_entry(key, prerequisites=[keys[place - 1]]) for place, key in enumerate(keys)))

    assert len(problem) < 300
    assert "…" in problem


def test_a_limited_number_of_problems_is_listed_and_all_are_counted() -> None:
    with pytest.raises(InvalidInput) as raised:
        check_rows(read_rows([an_entry(f"k{number}", hours=0) for number in range(75)]), {}, frozenset())

    assert len(raised.value.problems) == REPORTED
    assert raised.value.message == "Nothing was imported: 75 problems in 75 of 75 rows (the first 50 are listed)"


@pytest.mark.parametrize("number", [0, MAX_ROWS + 1])
def test_an_import_has_a_bounded_number_of_rows(number: int) -> None:
    with pytest.raises(InvalidInput, match="The import is not valid") as raised:
        read_rows([None] * number)

    assert raised.value.problems == (Problem("credentials", f"must have 1 to 10,000 rows, not {number:,}"),)


def test_a_skill_that_no_role_targets_is_allowed_with_a_warning() -> None:
    (report,) = check_rows(read_rows([an_entry("a", skills=[SKILL, "Basketry"])]), {}, frozenset({SKILL}))

    assert report.warnings == ("No role targets the skill 'Basketry'",)


def test_titles_may_repeat() -> None:
    reports = check_rows(read_rows([an_entry("a", title="One"), an_entry("b", title="One")]), {}, frozenset({SKILL}))

    assert [report.warnings for report in reports] == [(), ()]
