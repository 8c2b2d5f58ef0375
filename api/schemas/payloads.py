"""Schemas of the codec server: payloads as Temporal's Web UI and command line send them."""

import base64
import binascii
from typing import Annotated

from pydantic import AfterValidator, Field

from api.schemas.base import Input, Output


def _base64(text: str) -> str:
    try:
        base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("must be base64") from None
    return text


Base64Text = Annotated[str, AfterValidator(_base64)]


class EncodedPayload(Input):
    """A payload of a workflow history: protobuf's JSON, with bytes as base64."""

    metadata: dict[str, Base64Text] = Field(default_factory=dict)
    data: Base64Text = ""


class DecodePayloadsRequest(Input):
    payloads: list[EncodedPayload]


class DecodedPayload(Output):
    metadata: dict[str, str]
    data: str


class DecodePayloadsResponse(Output):
    payloads: list[DecodedPayload]
