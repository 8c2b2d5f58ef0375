"""Removal of hidden wording from a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.grading.wording import RUN_WORDS, runs_of, without_runs

SECRET = "one two three four five six seven eight nine ten"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (SECRET, ""),
        (f"Before, {SECRET}, after.", "Before, …, after."),
        ("Before one two three four five six seven eight after", "Before … after"),
        ("ONE, two; three - four/five six (seven) Eight!", ""),
        (f"{SECRET} between {SECRET}", "… between …"),
        ("one two three four five six seven but eight", "one two three four five six seven but eight"),
        ("", ""),
    ],
)
def test_runs_of_eight_shared_words_are_left_out(text: str, left: str) -> None:
    assert without_runs(text, runs_of(SECRET)) == left


def test_a_script_without_spaces_is_compared_by_character() -> None:
    hidden = runs_of("夜间导入运行了两次，所以每个订单都被计算了两次。")

    assert without_runs("好：夜间导入运行了两次，所以。再想想。", hidden) == "好：…。再想想。"


@given(st.text(), st.lists(st.text(), max_size=3))
def test_the_result_has_no_hidden_run(text: str, secrets: list[str]) -> None:
    hidden = runs_of(*secrets, SECRET)

    assert runs_of(without_runs(f"{text} {SECRET} {text}", hidden)).isdisjoint(hidden)


@given(
    st.lists(st.sampled_from(["a", "b"]), max_size=3 * RUN_WORDS), st.lists(st.sampled_from(["a", "b"]), max_size=20)
)
def test_text_without_a_hidden_run_stays_as_it_is(words: list[str], secret: list[str]) -> None:
    text, hidden = " ".join(words), runs_of(" ".join(secret))

    if runs_of(text).isdisjoint(hidden):
        assert without_runs(text, hidden) == text
