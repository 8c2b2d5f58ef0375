"""Full traces are allowed only on a developer's machine."""

import pytest
from pydantic import ValidationError

from activities.debugging import DebugSettings, trace_of


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_debugging_is_refused_where_students_answer(monkeypatch: pytest.MonkeyPatch, environment: str) -> None:
    monkeypatch.setenv("MICROCRED_ENV", environment)
    monkeypatch.setenv("MICROCRED_DEBUG", "true")

    with pytest.raises(ValidationError, match="MICROCRED_DEBUG is for development"):
        DebugSettings()


def test_debugging_is_for_development(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MICROCRED_ENV", "development")
    monkeypatch.setenv("MICROCRED_DEBUG", "true")

    assert DebugSettings().microcred_debug


def failing(at_hand: str) -> None:
    try:
        int(at_hand)
    except ValueError as error:
        raise RuntimeError("after it") from error


def test_a_trace_contains_causes_and_local_variables() -> None:
    with pytest.raises(RuntimeError) as failure:
        failing("an answer")

    outer, inner = trace_of(failure.value)
    assert (outer["exc_type"], outer["exc_value"], inner["exc_type"]) == ("RuntimeError", "after it", "ValueError")
    assert "an answer" in outer["frames"][-1]["locals"]["at_hand"]
