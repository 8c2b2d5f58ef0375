"""Secrets at rest: sealed with the first key of a setting, opened with whichever of its keys fits."""

import re
from collections.abc import Sequence
from typing import Annotated, Final, Literal, Self

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from pydantic import AfterValidator, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.errors import CorruptData

DEVELOPMENT_KEY: Final = "bWljcm9jcmVkLWRldmVsb3BtZW50LWtleS1vbmx5ISE"
"""Refused outside development."""

_KEY: Final = re.compile("[A-Za-z0-9_-]{43}")
_PLACEHOLDER: Final = re.compile(
    "change.?me|replace.?me|place.?holder|your.?secret|example|password|default", re.IGNORECASE
)
MIN_DISTINCT: Final = 8


class SecretCipher:
    """Fernet (AES-128-CBC with HMAC-SHA256) under several keys, so that keys can be replaced while it is in use.

    A key is 32 random bytes as 43 characters of URL-safe base64. The first one seals, all open.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        self._fernet = MultiFernet(Fernet(f"{key}=") for key in keys)

    def seal(self, text: str) -> bytes:
        return self._fernet.encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        """The text.

        Raises:
            CorruptData: it was sealed with none of the keys, or is not whole.
        """
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise _foreign() from None

    def reseal(self, sealed: bytes) -> bytes:
        """The same text under the first key.

        Raises:
            CorruptData: as `open`.
        """
        try:
            return self._fernet.rotate(sealed)
        except InvalidToken:
            raise _foreign() from None


def is_placeholder(secret: str) -> bool:
    """Whether somebody typed the secret instead of generating it; a random one looks so once in a thousand million."""
    return len(set(secret)) < MIN_DISTINCT or _PLACEHOLDER.search(secret) is not None


def _foreign() -> CorruptData:
    return CorruptData("A stored secret opens with none of WEBHOOK_SECRET_KEYS")


def _keys(value: SecretStr) -> list[str]:
    """Without the padding that some generators write."""
    return [key.strip().removesuffix("=") for key in value.get_secret_value().split(",")]


def _usable(value: SecretStr) -> SecretStr:
    if not all(_KEY.fullmatch(key) for key in _keys(value)):
        raise ValueError("must be keys of 32 bytes in URL-safe base64, separated by commas")
    return value


class SealingSettings(BaseSettings):
    """`WEBHOOK_SECRET_KEYS`: a new key goes first; an old one may go once `python -m persistence.reseal` has run."""

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

    def box(self) -> SecretCipher:
        return SecretCipher(_keys(self.webhook_secret_keys))
