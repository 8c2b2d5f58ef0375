"""Highlight quotes in an answer."""

from api.pages.marked_text import Passage, passages
from domain.grading.quotes import LocatedQuote

ANSWER = "One 👩‍👧 two three four."


def quote(text: str) -> LocatedQuote:
    start = ANSWER.index(text)
    return LocatedQuote(text=text, start=start, end=start + len(text))


def test_overlapping_quotes_are_marked_with_all_their_criteria() -> None:
    found = passages(ANSWER, [(1, quote("👩‍👧 two three")), (2, quote("three four"))])

    assert found == (
        Passage("One "),
        Passage("👩‍👧 two ", (1,)),
        Passage("three", (1, 2), (1,)),
        Passage(" four", (2,), (2,)),
        Passage("."),
    )


def test_a_quote_inside_another_ends_where_it_ends() -> None:
    found = passages(ANSWER, [(1, quote("two three four")), (2, quote("three"))])

    assert [(each.text, each.quoted_by, each.ends) for each in found if each.quoted_by] == [
        ("two ", (1,), ()),
        ("three", (1, 2), (2,)),
        (" four", (1,), (1,)),
    ]


def test_the_parts_joined_are_the_answer() -> None:
    found = passages(ANSWER, [(1, quote(ANSWER)), (2, quote("One")), (3, quote("four.")), (3, quote("two"))])

    assert "".join(each.text for each in found) == ANSWER


def test_a_quote_without_a_place_marks_nothing() -> None:
    assert passages(ANSWER, [(1, LocatedQuote(text="elsewhere"))]) == (Passage(ANSWER),)


def test_an_empty_answer_has_no_parts() -> None:
    assert passages("", []) == ()
