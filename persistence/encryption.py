"""Encryption of secrets at rest. The first key of the setting encrypts; each of its keys decrypts."""

import re
from collections.abc import Sequence
from typing import Annotated, Final, Literal, Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import AfterValidator, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.errors import CorruptData

DEVELOPMENT_KEY: Final = "bWljcm9jcmVkLWRldmVsb3BtZW50LWtleS1vbmx5ISE"
"""A public key for development. It is refused in other environments."""

_KEY: Final = re.compile("[A-Za-z0-9_-]{43}")
_PLACEHOLDER: Final = re.compile(
    "change.?me|replace.?me|place.?holder|your.?secret|example|password|default", re.IGNORECASE
)
MIN_DISTINCT: Final = 8


class SecretCipher:
    """Encrypt with Fernet (AES-128-CBC and HMAC-SHA256). Several keys allow rotation without downtime.

    A key is 32 random bytes as 43 characters of URL-safe base64. The first key encrypts, every key decrypts.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._fernet = MultiFernet(Fernet(f"{key}=") for key in keys)

    def encrypt(self, text: str) -> bytes:
        return self._fernet.encrypt(text.encode())

    def decrypt(self, ciphertext: bytes) -> str:
        """Return the decrypted text.

        Raises:
            CorruptData: none of the keys decrypts it, or the ciphertext is damaged.
        """
        try:
            return self._fernet.decrypt(ciphertext).decode()
        except InvalidToken:
            raise _cannot_decrypt() from None

    def rotate(self, ciphertext: bytes) -> bytes:
        """Encrypt the same text again with the first key.

        Raises:
            CorruptData: as `decrypt`.
        """
        try:
            return self._fernet.rotate(ciphertext)
        except InvalidToken:
            raise _cannot_decrypt() from None


def is_placeholder(secret: str) -> bool:
    """Whether the secret looks typed instead of generated. A random secret looks so about once in 10⁹ cases."""
    return len(set(secret)) < MIN_DISTINCT or _PLACEHOLDER.search(secret) is not None


def _cannot_decrypt() -> CorruptData:
    return CorruptData(
        "A stored webhook secret cannot be decrypted with any of WEBHOOK_SECRET_KEYS: add the key that encrypted it"
    )


def _keys(value: SecretStr) -> list[str]:
    """Split the keys, and remove the padding that some generators append."""
    return [key.strip().removesuffix("=") for key in value.get_secret_value().split(",")]


def _usable(value: SecretStr) -> SecretStr:
    if not all(_KEY.fullmatch(key) for key in _keys(value)):
        raise ValueError("must be keys of 32 bytes in URL-safe base64, separated by commas")
    return value


class EncryptionSettings(BaseSettings):
    """Read `WEBHOOK_SECRET_KEYS`: put a new key first; remove the old ones after `python -m persistence.reseal`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    microcred_env: Literal["development", "staging", "production"] = "production"
    webhook_secret_keys: Annotated[SecretStr, AfterValidator(_usable)] = SecretStr(DEVELOPMENT_KEY)

    @model_validator(mode="after")
    def _refuse_known_keys(self) -> Self:
        if self.microcred_env == "development":
            return self
        keys = _keys(self.webhook_secret_keys)
        if DEVELOPMENT_KEY in keys:
            raise ValueError("WEBHOOK_SECRET_KEYS must be set: the development key is public")
        if any(map(is_placeholder, keys)):
            raise ValueError("WEBHOOK_SECRET_KEYS must be random: one of them is a placeholder")
        return self

    def cipher(self) -> SecretCipher:
        return SecretCipher(_keys(self.webhook_secret_keys))
