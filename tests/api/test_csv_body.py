"""A CSV table becomes the same rows as a JSON import, or is rejected with its problems."""

import tracemalloc
from decimal import Decimal

import pytest

from api.middleware.strict_json import MAX_BYTES
from api.schemas.csv_body import MAX_LINES, MAX_RECORD_CHARS, parse_csv
from domain.errors import InvalidInput
from persistence.content.catalog_rows import MAX_ROWS

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


def rows(body: bytes) -> list[object]:
    return parse_csv(body).rows


def detected(body: bytes) -> tuple[str, str]:
    found = parse_csv(body).detected
    return found.encoding, found.delimiter_name


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
    assert rows(body) == [READ]


def test_columns_may_have_any_order_and_optional_ones_may_be_absent() -> None:
    (row,) = rows(table("title,key,hours,skills,level,provider,source_uri,description", "T,a,6,S,advanced,P,u,D"))

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
    assert rows(table("key,active", "a,false", "b,False")) == [
        {"key": "a", "active": False},
        {"key": "b", "active": False},
    ]


def test_an_empty_cell_says_nothing() -> None:
    assert rows(table("key,active", "a,")) == [{"key": "a"}]


@pytest.mark.parametrize("cell", ["six", "1e3", "6,5", "NaN", "1" * 40])
def test_an_invalid_number_stays_text_for_row_validation(cell: str) -> None:
    assert rows(table(HEADER, f'a,,,,,"{cell}",,,,maybe')) == [{"key": "a", "hours": cell, "active": "maybe"}]


def test_what_a_spreadsheet_would_take_for_a_formula_is_text() -> None:
    (row,) = rows(table(HEADER, "a,=1+1,@x,-S,,,+P,,,"))

    assert row == {"key": "a", "title": "=1+1", "description": "@x", "skills": ["-S"], "provider": "+P"}


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\r\n", "is empty"),
        (b"\xff\xfe" + b"key", "byte order mark of utf-16"),
        (b"\xef\xbb\xbf" + b"key\xff", "byte order mark of utf-8"),
        (HEADER.encode() + b"\n\x81", "is not UTF-8"),
        (HEADER.encode() + "\nécole à".encode() + b"\xe9", "is not UTF-8"),
        (table(HEADER, "a\0b"), "contains a NUL character"),
        (table(HEADER, ROW).decode().encode("utf-16-le"), "needs a byte order mark"),
        (table("sep=|", HEADER, ROW), "names a separator"),
        (table(HEADER, 'a,"never closed'), "cannot be read at line"),
        (table(HEADER, 'a,"quote" in it'), "cannot be read at line 2"),
        (table("sep=,", "", HEADER, 'a,"quote" in it'), "cannot be read at line 4"),
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
        ("header", "column 3 repeats title"),
        ("header", "column 4 ('prize') is not one of key"),
        ("header", "has no column description"),
        ("header", "has no column source_uri"),
    ]


def test_a_long_heading_is_named_by_its_first_64_characters() -> None:
    found = problems(table(f"key,active,\u202e{'x' * 100}", "a,false,"))

    assert found[0][2].partition(" is ")[0] == rf"column 3 ('\u202e{'x' * 63}…')"


def test_ragged_rows_are_named_by_number() -> None:
    assert problems(table("key,active", "a,false", "b", "c,false,x")) == [
        (2, "row", "has 1 cells, not 2"),
        (3, "row", "has 3 cells, not 2"),
    ]


def test_a_table_has_a_bounded_number_of_rows() -> None:
    ((_, _, problem),) = problems(table("key,active", *["a,false"] * (MAX_ROWS + 1)))

    assert problem == "has more than 10,000 rows"


EXPORT = table(
    "key;title;description;skills;level;hours;provider;source_uri;prerequisites;active",
    "a;Größe;Über 5 €;SQL|Data cleaning;foundation;7,5;École;https://x.org/a;;",
).decode()
EXPORTED = {
    "key": "a",
    "title": "Größe",
    "description": "Über 5 €",
    "skills": ["SQL", "Data cleaning"],
    "level": "foundation",
    "hours": Decimal("7.5"),
    "provider": "École",
    "source_uri": "https://x.org/a",
}


@pytest.mark.parametrize(
    ("body", "encoding"),
    [
        (EXPORT.encode(), "utf-8"),
        (EXPORT.encode("utf-8-sig"), "utf-8"),
        (EXPORT.encode("utf-16"), "utf-16"),
        ("\ufeff".encode("utf-16-be") + EXPORT.encode("utf-16-be"), "utf-16"),
        (EXPORT.encode("cp1252"), "windows-1252"),
    ],
    ids=["UTF-8", "UTF-8 with a mark", "UTF-16", "UTF-16 big-endian", "Windows-1252"],
)
def test_the_encoding_is_detected(body: bytes, encoding: str) -> None:
    assert detected(body) == (encoding, "semicolon")
    assert rows(body) == [EXPORTED]


@pytest.mark.parametrize(("delimiter", "name"), [(",", "comma"), (";", "semicolon"), ("\t", "tab")])
@pytest.mark.parametrize(
    "table_",
    [
        "key{0}active\na{0}false\n",
        '"key"{0}"active"\n"a"{0}"false"\n',
        "sep={0}\nkey{0}active\na{0}false\n",
        "\ufeffSEP={0}\r\nkey{0}active\r\na{0}false\r\n",
        "key{0}active\ra{0}false\r",
    ],
    ids=["plain", "quoted", "a line that names it", "the same with a mark", "CR"],
)
def test_the_separator_is_detected(table_: str, delimiter: str, name: str) -> None:
    body = table_.format(delimiter).encode()

    assert detected(body) == ("utf-8", name)
    assert rows(body) == [{"key": "a", "active": False}]


def test_separators_inside_cells_do_not_count() -> None:
    body = table("key,title", 'a,"One; two; three; four; five"').replace(b"key,title", b'"key","active"')

    assert detected(body) == ("utf-8", "comma")


def test_a_decimal_comma_is_not_read_where_commas_separate() -> None:
    (row,) = rows(table(HEADER, 'a,,,,,"7,5",,,,'))

    assert row == {"key": "a", "hours": "7,5"}


@pytest.mark.parametrize(
    "body",
    [
        table("key,active", "a,false", ",", ","),
        table("key,active", "a,false", *[" , \t"] * 5),
        table("key,active,,,", "a,false,,,", ",,,,"),
        table("key,active, ,\u00a0", "a,false"),
        table("key,active", "a,false,,,,"),
        table(",,", "key,active,", "a,false,"),
        table("", ";;", "key;active;", "a;false;"),
    ],
    ids=[
        *("rows", "rows of blanks", "columns", "columns of blanks", "cells of a row", "a row before the header"),
        "rows before the header with another separator",
    ],
)
def test_blank_rows_and_columns_of_a_spreadsheet_are_dropped(body: bytes) -> None:
    assert rows(body) == [{"key": "a", "active": False}]


def test_a_value_outside_the_named_columns_is_not_dropped() -> None:
    assert problems(table("key,active,,", "a,false,,x")) == [(1, "row", "has 4 cells, not 2")]


def test_white_space_around_values_and_column_names_is_dropped() -> None:
    (row,) = rows(
        table(f" {HEADER.replace(',', ' , ')}\u00a0", " a ,T ,D,S | U , foundation , 6 , P,u\u200b, b | c , TRUE ")
    )

    assert row == {
        "key": "a",
        "title": "T",
        "description": "D",
        "skills": ["S", "U"],
        "level": "foundation",
        "hours": Decimal(6),
        "provider": "P",
        "source_uri": "u",
        "prerequisites": ["b", "c"],
        "active": True,
    }


LONG_ROW = f"has more than {MAX_RECORD_CHARS:,} characters in a row"
ENDLESS = {
    "one row of 20 MB": (b"", b"a,", 10_000_000, LONG_ROW),
    "one row over many lines": (b"", b'"' + b"a" * 30 + b'\n",', 500_000, LONG_ROW),
    "one cell that does not end": (b'key,active\n"', b"a" * 30 + b"\n", 600_000, "field larger than field limit"),
    "blank lines": (b"", b"\n", 20_000_000, f"has more than {MAX_LINES:,} lines"),
    "a header of 40,000 columns": (",".join(map(str, range(40_000))).encode(), b"", 0, "has 40,000 columns"),
    "one column 40,000 times": (b"", b"key,", 40_000, "has 40,000 columns"),
}


@pytest.mark.parametrize(("start", "part", "times", "problem"), ENDLESS.values(), ids=ENDLESS.keys())
def test_an_endless_table_is_refused_in_little_memory(start: bytes, part: bytes, times: int, problem: str) -> None:
    body = start + part * times
    tracemalloc.start()
    try:
        ((_, _, found),) = problems(body)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert problem in found
    assert peak < 16 * MAX_BYTES


def test_wide_rows_keep_only_their_number_of_cells() -> None:
    body = table("key,active", *["a," * 1_000] * 500, *["x," * 999 + "x"] * 500)

    assert len(problems(body)) == 1_000
