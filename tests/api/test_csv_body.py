"""A table as CSV becomes the rows that JSON would hold, or is refused with what is wrong about it."""

from decimal import Decimal

import pytest

from api.csv_body import parse_csv
from domain.errors import InvalidInput
from persistence.catalog_rows import MAX_ROWS

HEADER = "key,title,description,skills,level,hours,provider,source_uri,prerequisites,active"
ROW = 'a,"One, two","First line\r\nsecond ""line""",SQL|Data cleaning,foundation,7.5,School,https://x.org/a,b | c,TRUE'
READ = {
    "key": "a",
    "title": "One, two",
    "description": 'First line\r\nsecond "line"',
    "skills": ["SQL", "Data cleaning"],
    "level": "foundation",
    "hours": Decimal("7.5"),
    "provider": "School",
    "source_uri": "https://x.org/a",
    "prerequisites": ["b", "c"],
    "active": True,
}


def table(*lines: str, end: str = "\n") -> bytes:
    return (end.join(lines) + end).encode()


def problems(body: bytes) -> list[tuple[int | None, str, str]]:
    with pytest.raises(InvalidInput) as raised:
        parse_csv(body)
    return [(each.row, each.field, each.problem) for each in raised.value.problems]


@pytest.mark.parametrize(
    "body",
    [
        table(HEADER, ROW),
        table(HEADER, ROW, end="\r\n"),
        "\ufeff".encode() + table(HEADER, ROW),
        table("", HEADER, "", ROW, ""),
        table(HEADER, ROW).rstrip(),
    ],
    ids=["LF", "CRLF", "a byte order mark", "blank lines", "no end of line"],
)
def test_a_row_is_read_whatever_wrote_it(body: bytes) -> None:
    assert parse_csv(body) == [READ]


def test_columns_may_stand_in_any_order_and_optional_ones_be_left_out() -> None:
    (row,) = parse_csv(table("title,key,hours,skills,level,provider,source_uri,description", "T,a,6,S,advanced,P,u,D"))

    assert row == {
        "title": "T",
        "key": "a",
        "hours": Decimal(6),
        "skills": ["S"],
        "level": "advanced",
        "provider": "P",
        "source_uri": "u",
        "description": "D",
    }


def test_a_table_of_keys_withdraws() -> None:
    assert parse_csv(table("key,active", "a,false", "b,False")) == [
        {"key": "a", "active": False},
        {"key": "b", "active": False},
    ]


def test_an_empty_cell_says_nothing() -> None:
    assert parse_csv(table("key,active", "a,")) == [{"key": "a"}]


@pytest.mark.parametrize("cell", ["six", "1e3", "6,5", "NaN", "1" * 40])
def test_a_number_that_is_none_stays_text_for_the_rows_check(cell: str) -> None:
    assert parse_csv(table(HEADER, f'a,,,,,"{cell}",,,,maybe')) == [{"key": "a", "hours": cell, "active": "maybe"}]


def test_what_a_spreadsheet_would_take_for_a_formula_is_text() -> None:
    (row,) = parse_csv(table(HEADER, "a,=1+1,@x,-S,,,+P,,,"))

    assert row == {"key": "a", "title": "=1+1", "description": "@x", "skills": ["-S"], "provider": "+P"}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\r\n", "is empty"),
        (table(HEADER, ROW).decode().encode("utf-16"), "is not UTF-8"),
        (HEADER.encode() + "\né".encode("latin-1"), "is not UTF-8"),
        (table(HEADER, "a\0b"), "holds NUL"),
        (table(HEADER, 'a,"never closed'), "cannot be read at line"),
        (table(HEADER, 'a,"quote" in it'), "cannot be read at line 2"),
        (table(HEADER, "a," + "x" * 200_000), "field larger than field limit"),
    ],
)
def test_what_is_no_table_is_refused(body: bytes, problem: str) -> None:
    ((row, field, found),) = problems(body)

    assert (row, field) == (None, "body")
    assert problem in found


def test_columns_that_are_missing_unknown_or_repeated_are_named() -> None:
    found = problems(table("key,title,title,prize,skills,level,hours,provider", "a"))

    assert [(field, problem.split(",")[0]) for _, field, problem in found] == [
        ("header", "column 3 is title once more"),
        ("header", "column 4 is not one of key"),
        ("header", "has no column description"),
        ("header", "has no column source_uri"),
    ]


def test_ragged_rows_are_named_by_number() -> None:
    assert problems(table("key,active", "a,false", "b", "c,false,x")) == [
        (2, "row", "has 1 cells, not 2"),
        (3, "row", "has 3 cells, not 2"),
    ]


def test_a_table_has_a_bounded_number_of_rows() -> None:
    ((_, _, problem),) = problems(table("key,active", *["a,false"] * (MAX_ROWS + 1)))

    assert problem == "has 10,001 rows, more than 10,000"
