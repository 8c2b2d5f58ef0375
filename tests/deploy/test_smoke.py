"""The results that the smoke test accepts."""

from typing import Any

import pytest

from deploy.smoke import SmokeFailed, check

QUESTIONS = [{"question_id": "1"}, {"question_id": "2"}]


def a_result(**changes: Any) -> dict[str, Any]:
    whole = {
        "scores": [{"question_id": "1"}, {"question_id": "2"}],
        "traces": [{"trace_id": "a"}],
        "recommendation_items": [{"source_trace_ids": ["a"]}],
    }
    return whole | changes


def test_a_whole_result_passes() -> None:
    check(a_result(), QUESTIONS)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"scores": [{"question_id": "1"}]}, "1 of 2 questions have no score"),
        ({"recommendation_items": []}, "no recommendations"),
        ({"recommendation_items": [{"source_trace_ids": []}]}, "without evidence"),
        ({"recommendation_items": [{"source_trace_ids": ["b"]}]}, "without evidence"),
    ],
)
def test_what_is_missing_fails(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(SmokeFailed, match=reason):
        check(a_result(**changes), QUESTIONS)
