"""Encryption of secrets at rest, and the validation of its keys."""

import secrets
from collections.abc import Callable

import pytest
from pydantic import ValidationError

from domain.errors import CorruptData
from persistence.encryption import DEVELOPMENT_KEY, EncryptionSettings, SecretCipher

SECRET = "whsec_c29tZSBieXRlcyB0aGF0IG5vYm9keSBzZWVz"
KEY = "k" * 43
RANDOM = "FjZ6rLZ6SgF8jairlWgsyzkIY3gPcRTdoKDgxVZEx8Q"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MICROCRED_ENV", "WEBHOOK_SECRET_KEYS"):
        monkeypatch.delenv(name, raising=False)


def a_key() -> str:
    return secrets.token_urlsafe(32)


def test_ciphertext_decrypts_and_does_not_contain_the_secret() -> None:
    cipher = SecretCipher([a_key()])

    ciphertext = cipher.encrypt(SECRET)

    assert cipher.decrypt(ciphertext) == SECRET
    assert SECRET.encode() not in ciphertext
    assert cipher.encrypt(SECRET) != ciphertext


def test_an_old_key_still_decrypts_and_the_first_one_encrypts() -> None:
    old, new = a_key(), a_key()
    both = SecretCipher([new, old])

    assert both.decrypt(SecretCipher([old]).encrypt(SECRET)) == SECRET
    assert SecretCipher([new]).decrypt(both.encrypt(SECRET)) == SECRET


@pytest.mark.parametrize(
    "harm", [lambda ciphertext: ciphertext[:-1], lambda ciphertext: b"A" + ciphertext[1:], lambda _: b""]
)
def test_a_damaged_ciphertext_is_corrupt_data(harm: Callable[[bytes], bytes]) -> None:
    cipher = SecretCipher([a_key()])

    with pytest.raises(CorruptData):
        cipher.decrypt(harm(cipher.encrypt(SECRET)))


def test_another_key_does_not_decrypt() -> None:
    with pytest.raises(CorruptData, match="WEBHOOK_SECRET_KEYS"):
        SecretCipher([a_key()]).decrypt(SecretCipher([a_key()]).encrypt(SECRET))


@pytest.mark.parametrize("padding", ["", "="])
def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, padding: str) -> None:
    first, second = a_key(), a_key()
    monkeypatch.setenv("WEBHOOK_SECRET_KEYS", f"{first}{padding}, {second}{padding}")

    cipher = EncryptionSettings().cipher()

    assert SecretCipher([first]).decrypt(cipher.encrypt(SECRET)) == SECRET
    assert cipher.decrypt(SecretCipher([second]).encrypt(SECRET)) == SECRET


@pytest.mark.parametrize(
    "keys", ["short", f"{KEY},", f"{KEY};{KEY}", "é" * 43, KEY[:42], f"{KEY}A", f"{KEY}=="], ids=range(7)
)
def test_a_malformed_key_stops_the_start_and_is_not_shown(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET_KEYS", keys)

    with pytest.raises(ValidationError, match="URL-safe base64") as refused:
        EncryptionSettings()
    assert keys not in str(refused.value)


@pytest.mark.parametrize("keys", [None, DEVELOPMENT_KEY, f"{KEY},{DEVELOPMENT_KEY}="])
def test_the_public_development_key_is_refused_elsewhere(monkeypatch: pytest.MonkeyPatch, keys: str | None) -> None:
    if keys:
        monkeypatch.setenv("WEBHOOK_SECRET_KEYS", keys)
    with pytest.raises(ValidationError, match="WEBHOOK_SECRET_KEYS must be set"):
        EncryptionSettings()

    monkeypatch.setenv("MICROCRED_ENV", "development")

    assert EncryptionSettings().cipher().decrypt(SecretCipher([DEVELOPMENT_KEY]).encrypt(SECRET)) == SECRET


@pytest.mark.parametrize("keys", [KEY, f"{KEY},{RANDOM}", "changeme" * 5 + "abc"])
def test_a_placeholder_is_refused_outside_development(monkeypatch: pytest.MonkeyPatch, keys: str) -> None:
    monkeypatch.setenv("WEBHOOK_SECRET_KEYS", keys)
    with pytest.raises(ValidationError, match="placeholder"):
        EncryptionSettings()

    monkeypatch.setenv("MICROCRED_ENV", "development")

    EncryptionSettings()


def test_keys_are_not_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    key = a_key()
    monkeypatch.setenv("WEBHOOK_SECRET_KEYS", key)

    assert key not in repr(EncryptionSettings())
