"""Log lines contain no secrets, addresses or answers."""

import pytest

from workflows.telemetry.masking import masked


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("GET https://user:hunter2@host/path failed", "GET https://***@host/path failed"),
        ("postgresql+psycopg://app:hunter2@db:5432/x", "postgresql+psycopg://***@db:5432/x"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("token eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl refused", "token *** refused"),
        ("key sk-proj-0123456789abcdef is wrong", "key *** is wrong"),
        ("secret whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "secret ***"),
        ("key mck_4fXq0aTzS8fWkq1mPz3d1y0vJtVb5cLr2n7eXo9u6hA is expired", "key *** is expired"),
        ("no account student@demo.example", "no account ***"),
    ],
)
def test_secrets_and_addresses_in_a_text_are_masked(said: str, left: str) -> None:
    assert masked(said) == left


@pytest.mark.parametrize(
    "plain",
    ["worker_ready", "assessment-44283ee9-0f34-4c0e-8f7a-0d8f2f6f6f6f", "api/app.py:12 build", "2026-01-31T10:00:00Z"],
)
def test_ids_locations_and_times_are_not_masked(plain: str) -> None:
    assert masked(plain) == plain


def test_fields_with_answers_or_secrets_are_masked_at_any_depth() -> None:
    line = {"event": "x", "attempt": 2, "answer": ["choice"], "problems": [{"field": "f", "password": "p"}]}

    assert masked(line) == {
        "event": "x",
        "attempt": 2,
        "answer": "***",
        "problems": [{"field": "f", "password": "***"}],
    }
