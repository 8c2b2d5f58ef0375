import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.assessments.answers import answer_json, check_answer, public_rubric
from domain.assessments.questions import Anchor, Answer, AnswerFormat, QuestionKind, Rubric
from domain.errors import InvalidInput
from tests.domain.builders import CHOICES, REASON, answer_format, essay, multiple, number, question, scale, single

SINGLE, MULTIPLE, NUMBER, SCALE, TEXT = (answer_format(kind) for kind in QuestionKind)
BOUNDED = answer_format(QuestionKind.NUMBER, minimum=Decimal(0), maximum=Decimal("10.5"))


@pytest.mark.parametrize(
    ("asked", "raw", "answer"),
    [
        (SINGLE, "red", "red"),
        (SCALE, "blue", "blue"),
        (MULTIPLE, {"choices": ["blue", "red"]}, ("red", "blue")),
        (MULTIPLE, {"choices": []}, ()),
        (NUMBER, 1250, Decimal(1250)),
        (NUMBER, 0.1, Decimal("0.1")),
        (NUMBER, -0.0, Decimal(0)),
        (NUMBER, Decimal("1.2500"), Decimal("1.25")),
        (NUMBER, 0.1 + 0.2, Decimal("0.3")),
        (NUMBER, Decimal("61.99999999999999"), Decimal(62)),
        (NUMBER, Decimal("33.333333333333336"), Decimal("33.3333333333333")),
        (NUMBER, 0.3 - 3 * 0.1, Decimal(0)),
        (NUMBER, 5e-324, Decimal(0)),
        (BOUNDED, Decimal("10.500000000000002"), Decimal("10.5")),
        (BOUNDED, Decimal("-1E-16"), Decimal(0)),
        (BOUNDED, 0, Decimal(0)),
        (BOUNDED, 10.5, Decimal("10.5")),
        (TEXT, "  An answer. ", "  An answer. "),
        (TEXT, "x" * 20_000, "x" * 20_000),
    ],
)
def test_an_answer_that_matches_the_format_is_accepted(asked: AnswerFormat, raw: object, answer: Answer) -> None:
    assert check_answer(asked, raw) == answer


@pytest.mark.parametrize(
    ("asked", "raw", "problem"),
    [
        (SINGLE, "white", "must be one of the choices"),
        (SINGLE, "Red", "must be one of the choices"),
        (SINGLE, 1, "must be a string, one of the choices"),
        (SINGLE, True, "must be a string, one of the choices"),
        (SCALE, ["red"], "must be a string, one of the choices"),
        (MULTIPLE, "red", 'must be an object {"choices": [...]}'),
        (MULTIPLE, ["red"], 'must be an object {"choices": [...]}'),
        (MULTIPLE, {}, 'must be an object {"choices": [...]}'),
        (MULTIPLE, {"choices": "red"}, 'must be an object {"choices": [...]}'),
        (MULTIPLE, {"choices": ["red"], "note": 1}, 'must be an object {"choices": [...]}'),
        (MULTIPLE, {"choices": ["red", "white"]}, "must contain only choices that the question offers"),
        (MULTIPLE, {"choices": [["red"], {}, None]}, "must contain only choices that the question offers"),
        (MULTIPLE, {"choices": ["red", "red"]}, "must not contain a choice twice"),
        (NUMBER, "1250", "must be a number"),
        (NUMBER, True, "must be a number"),
        (NUMBER, {"number": 1}, "must be a number"),
        (NUMBER, float("nan"), "must be a number between -1e15 and 1e15"),
        (NUMBER, float("inf"), "must be a number between -1e15 and 1e15"),
        (NUMBER, 10**400, "must be a number between -1e15 and 1e15"),
        (NUMBER, Decimal("999999999999999.9"), "must be a number between -1e15 and 1e15"),
        (BOUNDED, -0.001, "must be at least 0 and at most 10.5"),
        (BOUNDED, 10.51, "must be at least 0 and at most 10.5"),
        (TEXT, 7, "must be a string"),
        (TEXT, "x" * 20_001, "must have at most 20000 characters"),
        (TEXT, "a\0b", "must not contain NUL characters or lone surrogates"),
        (TEXT, "a\ud800b", "must not contain NUL characters or lone surrogates"),
    ],
)
def test_an_answer_of_another_format_is_rejected_with_the_reason(
    asked: AnswerFormat, raw: object, problem: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        check_answer(asked, raw)
    assert [(found.field, found.problem) for found in caught.value.problems] == [("answer", problem)]


@pytest.mark.parametrize("asked", [SINGLE, MULTIPLE, NUMBER, SCALE, TEXT])
def test_null_clears_an_answer_of_any_kind(asked: AnswerFormat) -> None:
    assert check_answer(asked, None) is None


@pytest.mark.parametrize("text", ["", " \n\t", "\u00a0", "\u200b", "\u2060\ufeff", "\u3164", "\u0301\u0302"])
def test_a_blank_text_clears_the_answer(text: str) -> None:
    assert check_answer(TEXT, text) is None


@pytest.mark.parametrize("asked", [SINGLE, SCALE, MULTIPLE, NUMBER])
def test_an_empty_text_clears_only_answers_that_are_texts(asked: AnswerFormat) -> None:
    with pytest.raises(InvalidInput):
        check_answer(asked, "")


def test_a_question_may_ask_for_a_shorter_text() -> None:
    with pytest.raises(InvalidInput):
        check_answer(answer_format(QuestionKind.TEXT, max_chars=10), "x" * 11)


def test_word_limits_are_not_enforced() -> None:
    assert check_answer(answer_format(QuestionKind.TEXT, min_words=80, max_words=400), "Too short.") == "Too short."


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(CHOICES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["choices", "x"]), inner, max_size=2),
    max_leaves=6,
)


@given(st.sampled_from([SINGLE, MULTIPLE, NUMBER, BOUNDED, SCALE, TEXT]), JSON_VALUES)
def test_any_value_is_rejected_or_survives_a_round_trip_through_json(asked: AnswerFormat, raw: Any) -> None:
    try:
        answer = check_answer(asked, raw)
    except InvalidInput:
        return
    if answer is None:
        return
    assert check_answer(asked, json.loads(json.dumps(answer_json(answer)))) == answer


MARKER = st.text("QXZ", min_size=12, max_size=40)


@given(st.sampled_from([SINGLE, MULTIPLE, NUMBER, SCALE, answer_format(QuestionKind.TEXT, max_chars=8)]), MARKER)
def test_an_error_never_repeats_the_input(asked: AnswerFormat, marker: str) -> None:
    for raw in (marker, {"choices": [marker]}, [marker]):
        with pytest.raises(InvalidInput) as caught:
            check_answer(asked, raw)
        assert marker not in f"{caught.value} {caught.value.problems}"


@given(st.decimals(min_value=-(10**14), max_value=10**14, places=1))
def test_a_number_survives_a_round_trip_through_json(value: Decimal) -> None:
    answer = check_answer(NUMBER, float(value))

    assert answer is not None
    assert Decimal(json.dumps(answer_json(answer))) == value


@given(st.floats(min_value=-1e14, max_value=1e14))
def test_a_double_is_rounded_to_15_digits(value: float) -> None:
    answer = check_answer(NUMBER, value)

    assert isinstance(answer, Decimal)
    assert abs(answer - Decimal(value)) <= max(abs(Decimal(value)) * Decimal("5e-15"), Decimal("1e-15"))


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        (Decimal(1250), 1250),
        (Decimal("0.1"), 0.1),
        (("red", "blue"), {"choices": ["red", "blue"]}),
        ("An answer.", "An answer."),
    ],
)
def test_answers_are_shown_in_the_shape_they_were_sent_in(answer: Answer, shown: object) -> None:
    assert answer_json(answer) == shown


def test_a_student_sees_criteria_and_levels_of_an_essay() -> None:
    seen = public_rubric(question(essay()))
    assert seen["points"] == 10
    assert seen["criteria"][0] == {  # type: ignore[index]  # the value's type is object on purpose
        "key": "cause",
        "name": "Finds the cause",
        "description": "What the cause is.",
        "levels": [
            {"name": name, "points": points, "descriptor": f"{name} work"}
            for name, points in (("Missing", 0), ("Emerging", 1), ("Proficient", 2), ("Strong", 4))
        ],
    }


@pytest.mark.parametrize(
    ("rubric", "seen"),
    [
        (single(), {"kind": "single", "points": 1}),
        (multiple(), {"kind": "multiple", "points": 2, "penalty": Decimal("0.5")}),
        (number(), {"kind": "number", "points": 2}),
        (scale(), {"kind": "scale"}),
    ],
)
def test_a_student_sees_the_points_of_a_rule_and_no_key(rubric: Rubric, seen: dict[str, object]) -> None:
    assert public_rubric(question(rubric)) == seen


@pytest.mark.parametrize(
    ("rubric", "secret"),
    [
        (single(), "green"),
        (multiple(), "green"),
        (number(), "1250"),
        (scale(), "0.75"),
        (single(), REASON),
        (essay(anchors=(Anchor(text="SECRET", levels={"cause": "Strong", "remedy": "Missing"}),)), "SECRET"),
    ],
)
def test_the_public_rubric_has_no_secrets(rubric: Rubric, secret: str) -> None:
    assert secret not in json.dumps(public_rubric(question(rubric)), default=str)
