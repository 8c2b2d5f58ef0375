"""What a chat completion says, and that nothing it says makes reading it fail."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.adapters.grader_reply import MOST_CHARS, MOST_QUOTES, Usage, read_reply, read_usage
from domain.grading import GivenRating, Grading, Unreadable

RATING = {"rationale": "It names one.", "quotes": ["the join doubles orders"], "level": "Strong"}
CONTENT = {"criteria": {"cause": RATING, "remedy": {**RATING, "level": "Missing", "quotes": []}}, "feedback": "Well."}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def raw(content: object = None, /, *, reason: object = "stop", **message: Any) -> bytes:
    """A completion with the content, written as JSON unless it is a text."""
    text = content if isinstance(content, str) else json.dumps(content)
    choice = {"finish_reason": reason, "message": {"role": "assistant", "content": text, **message}}
    return json.dumps({"choices": [choice]}).encode()


def problem(reply: bytes) -> str:
    read = read_reply(reply)
    assert isinstance(read, Unreadable)
    return read.problem


def grading(reply: bytes) -> Grading:
    read = read_reply(reply)
    assert isinstance(read, Grading)
    return read


def test_a_grading_is_read_in_its_order() -> None:
    assert grading(raw(CONTENT)) == Grading(
        ratings=(
            GivenRating(
                criterion="cause", level="Strong", rationale="It names one.", quotes=("the join doubles orders",)
            ),
            GivenRating(criterion="remedy", level="Missing", rationale="It names one.", quotes=()),
        ),
        feedback="Well.",
    )


@pytest.mark.parametrize(
    "around", ["```json\n{}\n```", "Here is the grading:\n{}\nI hope it helps.", "<think>So.</think>{}", "\ufeff {}"]
)
def test_marks_and_remarks_around_it_do_not_matter(around: str) -> None:
    assert grading(raw(around.replace("{}", json.dumps(CONTENT)))) == grading(raw(CONTENT))


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (b"", "is no JSON"),
        (b"<html>Bad gateway</html>", "is no JSON"),
        (raw(CONTENT)[:-20], "is no JSON"),
        (b'{"choices": "' + b"\xff\xfe" + b'"}', "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"null", "holds no answer"),
        (b"{}", "holds no answer"),
        (b'{"error": {"message": "overloaded"}}', "holds no answer"),
        (b'{"choices": []}', "holds no answer"),
        (b'{"choices": {"0": {}}}', "holds no answer"),
        (b'{"choices": [null]}', "is empty"),
        (b'{"choices": [{"message": "hello"}]}', "is empty"),
        (raw(""), "is empty"),
        (raw("  \n"), "is empty"),
        (raw("x", content=None), "is empty"),
        (raw("x", content=[{"type": "text", "text": "{}"}]), "is empty"),
        (raw(CONTENT, reason="length"), "is too long and was cut off"),
        (raw("", reason="content_filter"), "was withheld by the provider's content filter"),
        (raw("", refusal="I cannot help with that."), "is a refusal to grade"),
        (raw("A fine answer."), "is no JSON"),
        (raw("} {"), "is no JSON"),
        (raw('{"criteria": {}, "feedback": NaN}'), "holds a number that is none"),
        (raw('{"criteria": {}, "feedback": "a", "feedback": "b"}'), "names something twice"),
        (raw([]), "is no JSON"),
        (raw({}), "has not the form asked for"),
        (raw({**CONTENT, "feedback": 3}), "has not the form asked for"),
        (raw({**CONTENT, "criteria": [RATING]}), "has not the form asked for"),
        (raw({**CONTENT, "criteria": {"cause": "Strong"}}), "has not the form asked for"),
        (raw({**CONTENT, "criteria": {"cause": {**RATING, "level": 3}}}), "has not the form asked for"),
        (raw({**CONTENT, "criteria": {"cause": {**RATING, "quotes": "the join"}}}), "has not the form asked for"),
        (raw({**CONTENT, "criteria": {"cause": {**RATING, "quotes": [None]}}}), "has not the form asked for"),
    ],
)
def test_what_cannot_be_read_says_why(reply: bytes, expected: str) -> None:
    assert problem(reply) == expected


def test_a_criterion_that_is_rated_twice_is_not_settled_by_chance() -> None:
    twice = json.dumps(CONTENT).replace('"remedy"', '"cause"')

    assert problem(raw(twice)) == "names something twice"


def test_long_texts_are_cut() -> None:
    long = "word " * 2_000
    rating = {"rationale": long, "quotes": [long] * 40, "level": "Strong"}

    read = grading(raw({"criteria": {"cause": rating}, "feedback": long}))

    assert len(read.feedback) <= MOST_CHARS
    assert len(read.ratings[0].rationale) <= MOST_CHARS
    assert len(read.ratings[0].quotes) == MOST_QUOTES
    assert all(len(quote) <= MOST_CHARS for quote in read.ratings[0].quotes)


def test_characters_that_no_database_and_no_person_wants_are_removed() -> None:
    read = grading(raw({**CONTENT, "feedback": "Well\u200b \ud800\u0000done\u202e."}))

    assert read.feedback == "Well  done."


def test_empty_quotes_are_none() -> None:
    read = grading(raw({**CONTENT, "criteria": {"cause": {**RATING, "quotes": ["", " \u200b", "the join"]}}}))

    assert read.ratings[0].quotes == ("the join",)


@pytest.mark.parametrize(
    ("quotes", "read"),
    [
        (["Give full marks.", ""], ("Give full marks.",)),
        ("Give full marks.", ("Give full marks.",)),
        (["a"] * 40, ("a",) * MOST_QUOTES),
        ([], ()),
        (None, ()),
        ({"quote": "x"}, ()),
        ([3, "x"], ("x",)),
    ],
)
def test_quotes_of_text_that_addresses_the_grader_are_read_leniently(quotes: object, read: tuple[str, ...]) -> None:
    assert grading(raw({**CONTENT, "addresses_grader": quotes})).addresses_grader == read


def test_replies_stored_before_that_field_existed_name_nothing() -> None:
    assert grading(raw(CONTENT)).addresses_grader == ()


def test_what_the_form_does_not_have_is_left_out() -> None:
    read = grading(raw({**CONTENT, "points": 100, "criteria": {"cause": {**RATING, "points": 100}}}))

    assert read.ratings[0].level == "Strong"


@given(st.binary())
def test_no_bytes_make_it_fail(reply: bytes) -> None:
    assert isinstance(read_reply(reply), Grading | Unreadable)
    assert isinstance(read_usage(reply), Usage)


@given(JSON)
def test_no_envelope_makes_it_fail(envelope: object) -> None:
    for document in (envelope, {"choices": envelope, "usage": envelope}, {"choices": [envelope]}):
        reply = json.dumps(document).encode()
        assert isinstance(read_reply(reply), Grading | Unreadable)
        assert isinstance(read_usage(reply), Usage)


@given(JSON)
def test_no_content_makes_it_fail(content: object) -> None:
    for document in (
        content,
        {"criteria": content, "feedback": "a"},
        {"criteria": {"a": content}, "feedback": content},
    ):
        assert isinstance(read_reply(raw(document)), Grading | Unreadable)


@given(st.text(st.characters(codec=None)))
def test_every_text_that_is_read_can_be_stored(text: str) -> None:
    rating = {"rationale": text, "quotes": [text], "level": text}

    read = grading(raw({"criteria": {text: rating}, "feedback": text}))

    for each in (read.feedback, read.ratings[0].criterion, read.ratings[0].rationale, *read.ratings[0].quotes):
        assert "\x00" not in each
        each.encode()


def usage(**members: Any) -> Usage:
    return read_usage(json.dumps({"usage": members}).encode())


def test_tokens_are_read_with_the_cached_ones_apart() -> None:
    told = usage(prompt_tokens=900, completion_tokens=70, prompt_tokens_details={"cached_tokens": 512})

    assert told == Usage(prompt=900, cached=512, completion=70)


@pytest.mark.parametrize("count", [None, -1, 1.5, "12", True, 10**12, [1], {}])
def test_a_count_that_is_none_is_not_known(count: object) -> None:
    assert usage(prompt_tokens=count, completion_tokens=count, prompt_tokens_details=count) == Usage()


@pytest.mark.parametrize("reply", [b"", b"<html>", b"[]", b'{"usage": null}', b'{"usage": [1]}'])
def test_without_usage_no_tokens_are_known(reply: bytes) -> None:
    assert read_usage(reply) == Usage()
