"""ID tokens and metadata of an OIDC provider that must not be accepted, and providers that are down."""

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from api.security.oidc import LoginAttempt, OidcProvider, OidcSettings
from domain.errors import TemporarilyUnavailable, Unauthenticated


def streamed(document: dict[str, Any]) -> httpx.Response:
    """Return a response whose body is not read yet, as over a connection."""

    async def body() -> AsyncIterator[bytes]:
        yield json.dumps(document).encode()

    return httpx.Response(200, content=body())


@dataclass
class ForgedProvider:
    """A provider whose ID tokens a test makes. It answers over HTTP like a real one."""

    claims: dict[str, Any] = field(default_factory=dict)
    algorithm: str = "RS256"
    key: Any = field(default_factory=lambda: rsa.generate_private_key(65537, 2048))
    issuer: str = "https://id.example"
    metadata: dict[str, Any] = field(default_factory=dict)
    down: bool = False

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if self.down:
            raise httpx.ConnectError("down")
        match request.url.path:
            case "/.well-known/openid-configuration":
                ends = {"authorization_endpoint": "/a", "token_endpoint": "/t", "jwks_uri": "/k"}
                known = {"issuer": self.issuer} | {name: self.issuer + path for name, path in ends.items()}
                return streamed(known | self.metadata)
            case "/k":
                jwk = jwt.get_algorithm_by_name("RS256").to_jwk(self.key.public_key(), as_dict=True)
                return streamed({"keys": [jwk | {"kid": "one", "use": "sig"}]})
            case _:
                key = "" if self.algorithm == "none" else self.key
                token = jwt.encode(self.claims, key, self.algorithm, headers={"kid": "one"})
                return streamed({"id_token": token})


@pytest.fixture
def login() -> LoginAttempt:
    return LoginAttempt(token="a random token")


@pytest.fixture
def forged(login: LoginAttempt) -> ForgedProvider:
    now = int(time.time())
    return ForgedProvider(
        {
            "iss": "https://id.example",
            "aud": "microcred",
            "sub": "1",
            "iat": now,
            "exp": now + 300,
            "nonce": login.nonce,
            "email": "ada@school.example",
            "email_verified": True,
        }
    )


async def finish(forged: ForgedProvider, login: LoginAttempt, **answer: str) -> str:
    settings = OidcSettings.model_validate(
        {"issuer": "https://id.example", "client_id": "microcred", "organization": str(uuid4())}
    )
    async with httpx.AsyncClient(transport=httpx.MockTransport(forged)) as http:
        provider = OidcProvider(settings, http)
        back = "https://learn.example/back"
        identity = await provider.finish(login, {"code": "x", "state": login.state} | answer, back)
    return identity.email


async def test_a_valid_token_is_accepted(forged: ForgedProvider, login: LoginAttempt) -> None:
    assert await finish(forged, login) == "ada@school.example"


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": "of another login"},
        {"nonce": None},
        {"aud": "another client"},
        {"aud": ["microcred", "another"]},
        {"azp": "another client"},
        {"iss": "https://other.example"},
        {"exp": 1},
        {"iat": 2**40},
        {"email_verified": False},
        {"email": "ada@schöol.example"},
        {"email": None},
        {"sub": None},
    ],
    ids=str,
)
async def test_a_token_with_a_wrong_claim_is_refused(
    forged: ForgedProvider, login: LoginAttempt, change: dict[str, Any]
) -> None:
    forged.claims = {name: value for name, value in (forged.claims | change).items() if value is not None}

    with pytest.raises(Unauthenticated):
        await finish(forged, login)


async def test_an_unsigned_token_is_refused(forged: ForgedProvider, login: LoginAttempt) -> None:
    forged.algorithm = "none"

    with pytest.raises(Unauthenticated):
        await finish(forged, login)


async def test_a_token_that_is_signed_with_the_public_key_as_a_secret_is_refused(
    forged: ForgedProvider, login: LoginAttempt
) -> None:
    class Symmetric(ForgedProvider):
        async def __call__(self, request: httpx.Request) -> httpx.Response:
            if request.url.path != "/t":
                return await super().__call__(request)
            token = jwt.encode(self.claims, "a" * 64, "HS256", headers={"kid": "one"})
            return streamed({"id_token": token})

    with pytest.raises(Unauthenticated):
        await finish(Symmetric(forged.claims), login)


async def test_an_answer_that_names_another_issuer_is_refused(forged: ForgedProvider, login: LoginAttempt) -> None:
    with pytest.raises(Unauthenticated):
        await finish(forged, login, iss="https://other.example")


@pytest.mark.parametrize(
    "metadata",
    [{"issuer": "https://other.example"}, {"token_endpoint": "http://id.example/t"}, {"jwks_uri": 1}],
    ids=str,
)
async def test_metadata_that_may_not_be_used_make_the_sign_in_unavailable(
    forged: ForgedProvider, login: LoginAttempt, metadata: dict[str, Any]
) -> None:
    forged.metadata = metadata

    with pytest.raises(TemporarilyUnavailable):
        await finish(forged, login)


async def test_a_provider_that_is_down_makes_the_sign_in_unavailable(
    forged: ForgedProvider, login: LoginAttempt
) -> None:
    forged.down = True

    with pytest.raises(TemporarilyUnavailable):
        await finish(forged, login)
