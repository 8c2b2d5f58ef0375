"""Secrets at rest, and the keys that may seal them."""

import secrets
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from domain.errors import CorruptData
from persistence.encryption import DEVELOPMENT_KEY, SealingSettings, SecretCipher

SECRET = "whsec_c29tZSBieXRlcyB0aGF0IG5vYm9keSBzZWVz"
KEY = "k" * 43
RANDOM = "FjZ6rLZ6SgF8jairlWgsyzkIY3gPcRTdoKDgxVZEx8Q"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MICROCRED_ENV", "WEBHOOK_SECRET_KEYS"):
        monkeypatch.delenv(name, raising=False)


def a_key() -> str:
    return secrets.token_urlsafe(32)


def test_what_is_sealed_opens_and_shows_nothing() -> None:
    box = SecretCipher([a_key()])

    sealed = box.seal(SECRET)

    assert box.open(sealed) == SECRET
    assert SECRET.encode() not in sealed
    assert box.seal(SECRET) != sealed


def test_an_old_key_still_opens_and_the_first_one_seals() -> None:
    old, new = a_key(), a_key()
    both = SecretCipher([new, old])

    assert both.open(SecretCipher([old]).seal(SECRET)) == SECRET
    assert SecretCipher([new]).open(both.seal(SECRET)) == SECRET


@pytest.mark.parametrize("harm", [lambda sealed: sealed[:-1], lambda sealed: b"A" + sealed[1:], lambda _: b""])
def test_what_is_not_whole_is_corrupt(harm: Callable[[bytes], bytes]) -> None:
    box = SecretCipher([a_key()])

    with pytest.raises(CorruptData):
        box.open(harm(box.seal(SECRET)))


def test_a_foreign_key_does_not_open() -> None:
    with pytest.raises(CorruptData, match="WEBHOOK_SECRET_KEYS"):
        SecretCipher([a_key()]).open(SecretCipher([a_key()]).seal(SECRET))


@pytest.mark.parametrize("padding", ["", "="])
def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, padding: str) -> None:
    first, second = a_key(), a_key()
    monkeypatch.setenv("WEBHOOK_SECRET_KEYS", f"{first}{padding}, {second}{padding}")

    box = SealingSettings().box()

    assert SecretCipher([first]).open(box.seal(SECRET)) == SECRET
    assert box.open(SecretCipher([second]).seal(SECRET)) == SECRET


@pytest.mark.parametrize(
    "keys", ["short", f"{KEY},", f"{KEY};{KEY}", "é" * 43, KEY[:42], f"{KEY}A", f"{KEY}=="], ids=range(7)
)
def test_a_malformed_key_stops_the_start_and_is_not_shown(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET_KEYS", keys)

    with pytest.raises(ValidationError, match="URL-safe base64") as refused:
        SealingSettings()
    assert keys not in str(refused.value)


@pytest.mark.parametrize("keys", [None, DEVELOPMENT_KEY, f"{KEY},{DEVELOPMENT_KEY}="])
def test_the_published_key_is_for_development_only(monkeypatch: pytest.MonkeyPatch, keys: str | None) -> None:
    if keys:
        monkeypatch.setenv("WEBHOOK_SECRET_KEYS", keys)
    with pytest.raises(ValidationError, match="WEBHOOK_SECRET_KEYS must be set"):
        SealingSettings()

    monkeypatch.setenv("MICROCRED_ENV", "development")

    assert SealingSettings().box().open(SecretCipher([DEVELOPMENT_KEY]).seal(SECRET)) == SECRET


@pytest.mark.parametrize("keys", [KEY, f"{KEY},{RANDOM}", "changeme" * 5 + "abc"])
def test_a_placeholder_is_no_key_outside_development(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET_KEYS", keys)
    with pytest.raises(ValidationError, match="placeholder"):
        SealingSettings()

    monkeypatch.setenv("MICROCRED_ENV", "development")

    SealingSettings()


def test_keys_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    key = a_key()
    monkeypatch.setenv("WEBHOOK_SECRET_KEYS", key)

    assert key not in repr(SealingSettings())
