"""Why an essay waits for a review."""

import pytest

from domain.grading.review_reasons import review_reasons


@pytest.mark.parametrize(
    ("abstained", "flags", "model", "reasons"),
    [
        (True, (), "gpt", {"abstained"}),
        (True, ("addressed_to_grader",), "gpt", {"abstained", "flagged"}),
        (False, ("unrelated",), "gpt", {"flagged"}),
        (False, ("lowered_by_healing", "too_short"), "gpt", {"flagged"}),
        (False, (), "gpt", {"low_confidence"}),
        (False, ("too_short",), "gpt", {"low_confidence"}),
        (False, ("too_short",), "local-minilm-1", {"flagged"}),
    ],
)
def test_an_essay_has_the_reasons_of_its_score(
    abstained: bool,  # noqa: FBT001  # a parameter of the table
    flags: tuple[str, ...],
    model: str,
    reasons: set[str],
) -> None:
    assert review_reasons(abstained=abstained, flags=flags, model=model) == reasons
