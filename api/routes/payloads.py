"""The codec server: it decrypts payloads of workflow histories for Temporal's Web UI and command line."""

from base64 import b64decode, b64encode
from typing import cast

from fastapi import Request
from temporalio.api.common.v1 import Payload

from api.middleware.routing import router
from api.schemas.errors import answers
from api.schemas.payloads import DecodedPayload, DecodePayloadsRequest, DecodePayloadsResponse, EncodedPayload
from domain.errors import CorruptData, InvalidInput
from workflows.engine.payload_codec import PayloadCipher

payloads = router(prefix="/payloads", tags=["Operations"])


@payloads.post(
    "/decode",
    summary="Decrypt payloads of workflow histories",
    responses=answers(400, 401, 403, 413, 415),
)
async def decode_payloads(body: DecodePayloadsRequest, request: Request) -> DecodePayloadsResponse:
    """Payloads that are not encrypted are returned as they are. 400 if a key is missing in PAYLOAD_KEYS.

    The address of the codec server is the part before `/decode`. See docs/deploying.md.
    """
    given = [_payload(each) for each in body.payloads]
    cipher = cast(PayloadCipher | None, request.app.state.payload_cipher)
    try:
        decoded = await cipher.decode(given) if cipher else given
    except CorruptData as error:
        raise InvalidInput(error.message) from None
    return DecodePayloadsResponse(payloads=[_decoded(each) for each in decoded])


def _payload(given: EncodedPayload) -> Payload:
    return Payload(
        metadata={name: b64decode(value) for name, value in given.metadata.items()}, data=b64decode(given.data)
    )


def _decoded(payload: Payload) -> DecodedPayload:
    return DecodedPayload(
        metadata={name: b64encode(value).decode() for name, value in payload.metadata.items()},
        data=b64encode(payload.data).decode(),
    )
