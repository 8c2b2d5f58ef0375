"""The codec server for Temporal's Web UI and command line."""

import base64
from collections.abc import AsyncIterator

import httpx
import pytest
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload

from api.app import build
from api.middleware.response_headers import HttpSettings
from tests.api.conftest import UNLIMITED, Api
from workflows.engine.payload_codec import PayloadCipher, PayloadSettings

UI = "https://temporal.example.org"
KEY = base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("=")
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"readable"')


def as_json(payload: Payload) -> dict[str, object]:
    metadata = {name: base64.b64encode(value).decode() for name, value in payload.metadata.items()}
    return {"metadata": metadata, "data": base64.b64encode(payload.data).decode()}


@pytest.fixture
async def client(api: Api) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an API with a key, as a platform admin."""
    app = build(
        http=HttpSettings(microcred_env="development", cors_origins=UI),
        limits=UNLIMITED,
    )
    app.state.payload_cipher = PayloadSettings(payload_keys=SecretStr(f"a:{KEY}")).cipher()
    app.state.services = api.services
    admin = await api.person("platform_admin")
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://api.test", headers=admin.headers
    ) as client:
        yield client


async def encrypted(key_id: str = "a") -> Payload:
    (payload,) = await PayloadCipher({key_id: bytes(range(32))}, key_id).encode([PLAIN])
    return payload


async def test_encrypted_and_plain_payloads_are_returned_readable(client: httpx.AsyncClient) -> None:
    body = {"payloads": [as_json(await encrypted()), as_json(PLAIN)]}

    response = await client.post("/api/v1/payloads/decode", json=body)

    assert response.status_code == 200
    assert response.json() == {"payloads": [as_json(PLAIN)] * 2}


async def test_an_unknown_key_is_named(client: httpx.AsyncClient) -> None:
    response = await client.post("/api/v1/payloads/decode", json={"payloads": [as_json(await encrypted("b"))]})

    assert response.status_code == 400
    assert "'b'" in response.json()["message"]


async def test_data_that_is_not_base64_is_refused(client: httpx.AsyncClient) -> None:
    response = await client.post("/api/v1/payloads/decode", json={"payloads": [{"data": "#"}]})

    assert response.status_code == 400


async def test_a_page_of_the_web_ui_may_send_its_namespace_and_token(client: httpx.AsyncClient) -> None:
    response = await client.options(
        "/api/v1/payloads/decode",
        headers={
            "Origin": UI,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization,content-type,x-namespace",
        },
    )

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == UI
