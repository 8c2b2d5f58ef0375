"""Encrypt what Temporal stores: inputs, results, memos, summaries, details and messages of failures. Off by default.

Not encrypted: the ids of workflows, search attributes, headers and the ids of patches. They hold opaque ids only.
"""

import base64
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import AfterValidator, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from temporalio.api.common.v1 import Payload
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes, PayloadCodec

from domain.errors import CorruptData

ENCODING: Final = b"binary/encrypted"
KEY_ID: Final = "encryption-key-id"
NONCE_BYTES: Final = 12
OFF: Final = "off"
"""In the place of the first key: decrypt with the other keys, and encrypt nothing."""

_ENTRY: Final = re.compile(r"(?P<id>[A-Za-z0-9_.-]{1,32}):(?P<key>[A-Za-z0-9_-]{43})=?")


class PayloadCipher(PayloadCodec):
    """Encrypts payloads with AES-256-GCM. The key's id is stored with a payload and is authenticated.

    Without `current`, payloads are not encrypted. Payloads that are not encrypted, such as those from the time before
    the setting, are returned as they are.
    """

    def __init__(self, keys: Mapping[str, bytes], current: str | None) -> None:
        self._ciphers = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._current = current

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [self._encrypted(each, self._current) if self._current else each for each in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decrypt the payloads.

        Raises:
            CorruptData: no key has the payload's key id, or the payload was changed.
        """
        return [self._decrypted(each) for each in payloads]

    def _encrypted(self, payload: Payload, key_id: str) -> Payload:
        nonce = os.urandom(NONCE_BYTES)
        data = self._ciphers[key_id].encrypt(nonce, payload.SerializeToString(), key_id.encode())
        return Payload(metadata={"encoding": ENCODING, KEY_ID: key_id.encode()}, data=nonce + data)

    def _decrypted(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != ENCODING:
            return payload
        key_id = payload.metadata.get(KEY_ID, b"").decode(errors="replace")
        cipher = self._ciphers.get(key_id)
        if cipher is None:
            raise CorruptData(f"A payload is encrypted with the key {key_id!r}: add this key to PAYLOAD_KEYS")
        try:
            data = cipher.decrypt(payload.data[:NONCE_BYTES], payload.data[NONCE_BYTES:], key_id.encode())
        except (InvalidTag, ValueError):
            raise CorruptData(f"A payload cannot be decrypted with the key {key_id!r}: it was changed") from None
        return Payload.FromString(data)


def _entries(value: SecretStr) -> list[str]:
    return [entry.strip() for entry in value.get_secret_value().split(",")]


def _usable(value: SecretStr) -> SecretStr:
    first, *rest = _entries(value)
    matches = [_ENTRY.fullmatch(entry) for entry in (rest if first == OFF else [first, *rest])]
    ids = [match["id"] for match in matches if match]
    if not matches or None in matches:
        raise ValueError("must be ID:KEY, separated by commas; a key is 32 bytes in URL-safe base64")
    if len(set(ids)) < len(ids):
        raise ValueError("must not use an id for two keys")
    return value


class PayloadSettings(BaseSettings):
    """Read `PAYLOAD_KEYS`, such as `2026b:KEY,2026a:KEY`. The first key encrypts, each of the keys decrypts.

    Without keys, nothing is encrypted. With `off` in the place of the first key, payloads are decrypted only.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    payload_keys: Annotated[SecretStr, AfterValidator(_usable)] | None = None

    def cipher(self) -> PayloadCipher | None:
        if self.payload_keys is None:
            return None
        first, *rest = _entries(self.payload_keys)
        matches = [_ENTRY.fullmatch(entry) for entry in (first, *rest)]
        keys = {match["id"]: base64.urlsafe_b64decode(f"{match['key']}=") for match in matches if match}
        return PayloadCipher(keys, None if first == OFF else next(iter(keys)))


def data_converter(cipher: PayloadCipher | None) -> DataConverter:
    """The converter of every client. With a cipher, the texts of failures are encrypted, too."""
    if cipher is None:
        return pydantic_data_converter
    return replace(
        pydantic_data_converter,
        payload_codec=cipher,
        failure_converter_class=DefaultFailureConverterWithEncodedAttributes,
    )
