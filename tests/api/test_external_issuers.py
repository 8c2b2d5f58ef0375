"""Tokens of external issuers, whose keys come from a real server."""

import asyncio
import base64
import gzip
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import uuid4

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import get_default_algorithms

from api.security.external_issuers import MAX_TOKEN_CHARS, ExternalIssuer, ExternalIssuers
from api.security.issuer_keys import MAX_AGE_S, MAX_BYTES, MIN_INTERVAL_S, REFRESH_S, Keys, fetch_keys
from tests.api.conftest import Api, Person, client_with
from tests.support.partners import Partner, Respond, answering, raw

NAME, AUDIENCE = "https://id.example", "microcred"
RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
OTHER = ec.generate_private_key(ec.SECP256R1())


def jwk(key: Any, kid: str, algorithm: str = "ES256", **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = json.loads(get_default_algorithms()[algorithm].to_jwk(key.public_key()))
    made.pop("key_ops", None)
    return made | {"kid": kid} | more


def jwks(*keys: dict[str, Any]) -> Respond:
    return answering(200, json.dumps({"keys": keys}).encode())


def token(subject: object, key: Any = EC, kid: str | None = "ec", algorithm: str = "ES256", **changes: Any) -> str:
    now = int(time.time())
    claims = {"iss": NAME, "aud": AUDIENCE, "sub": str(subject), "iat": now, "exp": now + 600} | changes
    claims = {name: value for name, value in claims.items() if value is not None}
    return jwt.PyJWS().encode(json.dumps(claims).encode(), key, algorithm, headers={"kid": kid} if kid else {})


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Issuer:
    """A server of an issuer, and an app that trusts it."""

    server: Partner
    clock: Clock
    api: Api
    http: httpx.AsyncClient
    client: httpx.AsyncClient = field(init=False)

    @asynccontextmanager
    async def trusted(self, **settings: Any) -> AsyncIterator["Issuer"]:
        issuer = ExternalIssuer.model_validate(
            {"issuer": NAME, "audience": AUDIENCE, "jwks_url": self.server.url, "organization": "any"} | settings
        )
        find = self.api.services.principals.find
        issuers = ExternalIssuers([issuer], partial(fetch_keys, self.http), find, self.clock)
        async with client_with(self.api, issuers=issuers) as self.client:
            yield self

    async def me(self, token: str) -> httpx.Response:
        return await self.client.get("/api/v1/me", headers={"Authorization": f"Bearer {token}"})

    async def status(self, token: str) -> int:
        return (await self.me(token)).status_code


@pytest.fixture
async def served(api: Api) -> AsyncIterator[Issuer]:
    async with Partner(respond=jwks(jwk(EC, "ec"))) as server, httpx.AsyncClient(trust_env=False) as http:
        yield Issuer(server, Clock(), api, http)


@pytest.fixture
async def issuer(served: Issuer) -> AsyncIterator[Issuer]:
    async with served.trusted():
        yield served


@pytest.mark.parametrize(
    ("key", "algorithm"), [(RSA, "RS256"), (EC, "ES256"), (ED, "EdDSA")], ids=["RS256", "ES256", "EdDSA"]
)
async def test_every_allowed_algorithm_counts(issuer: Issuer, learner: Person, key: Any, algorithm: str) -> None:
    issuer.server.respond = jwks(jwk(OTHER, "other"), jwk(key, "this", algorithm))
    assert await issuer.status(token(learner.id, key, "this", algorithm)) == 200


async def test_role_and_organization_are_ours_whatever_the_token_says(issuer: Issuer, learner: Person) -> None:
    answer = await issuer.me(token(learner.id, role="admin", org="platform", organization_id=str(uuid4())))
    assert answer.json() == {
        "user_id": str(learner.id),
        "role": "student",
        "organization_id": str(issuer.api.organization_id),
    }


async def test_tokens_of_this_service_remain_valid(issuer: Issuer, learner: Person) -> None:
    answer = await issuer.client.get("/api/v1/me", headers=learner.headers)
    assert (answer.status_code, issuer.server.connections) == (200, 0)


async def test_people_may_be_named_by_an_address_that_was_verified(served: Issuer, api: Api) -> None:
    person = await api.person("advisor", email="Known.Elsewhere@example.org")
    async with served.trusted(subject="email") as issuer:
        answer = await issuer.me(token("a-foreign-id", email="known.elsewhere@example.org", email_verified=True))
    assert (answer.json()["user_id"], answer.json()["role"]) == (str(person.id), "advisor")


@pytest.mark.parametrize(
    "claims",
    [
        {"email": "trusted@example.org"},
        {"email": "trusted@example.org", "email_verified": False},
        {"email": "trusted@example.org", "email_verified": "true"},
        {"email": "unknown@example.org", "email_verified": True},
        {"email": "a\0b", "email_verified": True},
        {"email": 7, "email_verified": True},
        {"email_verified": True},
    ],
    ids=str,
)
async def test_an_unknown_address_is_rejected(served: Issuer, api: Api, claims: dict[str, Any]) -> None:
    if claims.get("email") == "trusted@example.org":
        await api.person(email=f"trusted@{uuid4()}.example.org")
    async with served.trusted(subject="email") as issuer:
        assert await issuer.status(token("a-foreign-id", **claims)) == 401


@pytest.mark.parametrize(
    "email",
    ["admİn.{}@example.org", "admın.{}@example.org", "ａdmin.{}@example.org", "admin.{}@example.org\u0307", ""],
    ids=ascii,
)
async def test_a_non_ascii_address_matches_no_user(served: Issuer, api: Api, email: str) -> None:
    name = uuid4().hex
    await api.person("admin", email=f"admin.{name}@example.org")
    async with served.trusted(subject="email") as issuer:
        assert await issuer.status(token("a-foreign-id", email=email.format(name), email_verified=True)) == 401


async def test_an_issuer_vouches_for_its_organization_only(served: Issuer, api: Api) -> None:
    people = [await api.person("admin"), await api.person("admin", elsewhere=True), await api.person("platform_admin")]
    async with served.trusted(organization=str(api.organization_id)) as issuer:
        assert [await issuer.status(token(person.id)) for person in people] == [200, 401, 401]


@pytest.mark.parametrize("status", ["disabled", "erasing", "erased"])
async def test_who_is_not_active_is_refused(issuer: Issuer, api: Api, status: str) -> None:
    person = await api.person(status=status)
    assert await issuer.status(token(person.id)) == 401


@pytest.mark.parametrize(
    "changes",
    [
        *({name: None} for name in ("exp", "iat", "aud", "sub")),
        {"exp": 1e308},
        {"exp": float("inf")},
        {"exp": 99_999_999_999},
        {"exp": 1},
        {"exp": 10**400, "iat": 0.5},
        {"exp": True, "iat": False},
        {"iat": float("nan")},
        {"iat": "0"},
        {"iat": 99_999_999_999},
        {"nbf": 99_999_999_999},
        {"aud": "another"},
        {"iss": f"{NAME}/"},
        {"iss": [NAME]},
        {"sub": "00000000-0000-4000-8000-000000000000"},
        {"sub": "somebody"},
    ],
    ids=str,
)
async def test_claims_that_are_not_right_are_refused(issuer: Issuer, learner: Person, changes: dict[str, Any]) -> None:
    assert await issuer.status(token(learner.id, **changes)) == 401


async def test_times_may_have_fractions(issuer: Issuer, learner: Person) -> None:
    now = time.time()
    assert await issuer.status(token(learner.id, iat=now - 0.25, nbf=now - 0.25, exp=now + 600.75)) == 200


@pytest.mark.parametrize(("ahead_s", "status"), [(25, 200), (120, 401)])
async def test_the_issuers_clock_may_be_half_a_minute_ahead(
    issuer: Issuer, learner: Person, ahead_s: int, status: int
) -> None:
    now = int(time.time())
    assert await issuer.status(token(learner.id, iat=now + ahead_s, nbf=now + ahead_s)) == status


@pytest.mark.parametrize(("groups", "status"), [(250, 200), (500, 401)])
async def test_a_token_may_have_16_kibibytes(issuer: Issuer, learner: Person, groups: int, status: int) -> None:
    long = token(learner.id, groups=[str(uuid4()) for _ in range(groups)])
    assert (len(long) > 4096, len(long) <= MAX_TOKEN_CHARS) == (True, status == 200)
    assert await issuer.status(long) == status


async def test_a_reset_of_the_password_here_does_not_concern_an_issuers_tokens(
    issuer: Issuer, api: Api, learner: Person
) -> None:
    await api.client.patch(
        f"/api/v1/users/{learner.id}",
        json={"password": "correct horse battery staple"},
        headers=(await api.person("admin")).headers,
    )
    headers = {"Authorization": f"Bearer {token(learner.id)}"}
    assert (await issuer.client.get("/api/v1/roles", headers=headers)).status_code == 200


async def test_ids_in_another_spelling_are_refused(issuer: Issuer, learner: Person) -> None:
    spellings = [str(learner.id).upper(), f"{{{learner.id}}}", learner.id.urn, learner.id.hex]
    assert [await issuer.status(token(spelling)) for spelling in spellings] == [401] * 4


async def test_an_audience_may_be_among_several(issuer: Issuer, learner: Person) -> None:
    assert await issuer.status(token(learner.id, aud=["another", AUDIENCE])) == 200


async def test_forgeries_are_refused(issuer: Issuer, learner: Person) -> None:
    public = EC.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    forged = [
        token(learner.id, OTHER),
        token(learner.id, OTHER, None),
        token(learner.id, public, "ec", "HS256"),
        token(learner.id, "", "ec", "none"),
        token(learner.id, RSA, "ec", "RS256"),
        token(learner.id, RSA, "ec", "PS256"),
        token(learner.id) + "x",
        token(learner.id) + "." + "x" * 5000,
    ]
    assert [await issuer.status(each) for each in forged] == [401] * len(forged)


async def test_addresses_and_keys_in_the_header_are_never_used(issuer: Issuer, learner: Person) -> None:
    async with Partner(respond=jwks(jwk(OTHER, "other"))) as forger:
        headers = {"kid": "other", "jku": forger.url, "x5u": forger.url, "jwk": jwk(OTHER, "other")}
        now = int(time.time())
        claims = {"iss": NAME, "aud": AUDIENCE, "sub": str(learner.id), "iat": now, "exp": now + 60}
        assert await issuer.status(jwt.encode(claims, OTHER, "ES256", headers=headers)) == 401
        assert forger.connections == 0


async def test_keys_for_other_uses_and_shared_secrets_verify_nothing(issuer: Issuer, learner: Person) -> None:
    secret = b"a-secret-that-somebody-has-published"
    weak = rsa.generate_private_key(65537, 1024)  # noqa: S505  # what must be refused
    issuer.server.respond = jwks(
        jwk(EC, "enc", use="enc"),
        {"kty": "oct", "kid": "oct", "k": base64.urlsafe_b64encode(secret).decode()},
        jwk(weak, "weak", "RS256"),
        {"kty": "EC"},
        {"kid": ["ec"]},
        jwk(EC, "sig", use="sig"),
    )
    with pytest.warns(jwt.InsecureKeyLengthWarning):
        by_a_weak_key = token(learner.id, weak, "weak", "RS256")
    refused = [token(learner.id, kid="enc"), token(learner.id, secret, "oct", "HS256"), by_a_weak_key]
    assert [await issuer.status(each) for each in refused] == [401] * 3
    assert await issuer.status(token(learner.id, kid="sig")) == 200


async def test_a_token_of_an_unknown_issuer_causes_no_request(issuer: Issuer, learner: Person) -> None:
    assert await issuer.status(token(learner.id, iss="https://other.example")) == 401
    assert issuer.server.connections == 0


async def test_a_new_key_counts_without_a_restart(issuer: Issuer, learner: Person) -> None:
    assert await issuer.status(token(learner.id)) == 200
    issuer.server.respond = jwks(jwk(EC, "ec"), jwk(OTHER, "new"))

    issuer.clock.now += MIN_INTERVAL_S

    assert await issuer.status(token(learner.id, OTHER, "new")) == 200
    assert await issuer.status(token(learner.id)) == 200


async def test_a_key_that_was_withdrawn_stops_counting(issuer: Issuer, learner: Person) -> None:
    assert await issuer.status(token(learner.id)) == 200
    issuer.server.respond = jwks(jwk(OTHER, "new"))

    issuer.clock.now += REFRESH_S
    await issuer.status(token(learner.id, OTHER, "new"))

    assert await issuer.status(token(learner.id)) == 401


async def test_unknown_keys_do_not_flood_the_issuer(issuer: Issuer, learner: Person) -> None:
    answers = await asyncio.gather(*(issuer.status(token(learner.id, OTHER, f"kid-{number}")) for number in range(50)))
    known = await issuer.status(token(learner.id))

    assert (set(answers), known, len(issuer.server.received)) == ({401}, 200, 1)

    issuer.clock.now += MIN_INTERVAL_S
    await asyncio.gather(*(issuer.status(token(learner.id, OTHER, f"kid-{number}")) for number in range(50)))

    assert len(issuer.server.received) == 2


async def test_keys_are_asked_for_seldom(issuer: Issuer, learner: Person) -> None:
    for _ in range(5):
        assert await issuer.status(token(learner.id)) == 200
        issuer.clock.now += REFRESH_S / 6
    assert len(issuer.server.received) == 1


async def test_known_keys_keep_working_while_the_issuer_is_down(issuer: Issuer, learner: Person) -> None:
    assert await issuer.status(token(learner.id)) == 200
    issuer.server.respond = answering(500)

    issuer.clock.now += REFRESH_S
    stale = await issuer.status(token(learner.id))
    unknown = await issuer.me(token(learner.id, OTHER, "new"))
    issuer.clock.now += MAX_AGE_S
    too_old = await issuer.me(token(learner.id))
    issuer.server.respond = jwks(jwk(EC, "ec"))
    issuer.clock.now += MIN_INTERVAL_S
    again = await issuer.status(token(learner.id))

    assert (stale, again) == (200, 200)
    assert (unknown.status_code, unknown.json()["error_code"]) == (503, "UNAVAILABLE_503")
    assert (too_old.status_code, int(too_old.headers["Retry-After"]) > 0) == (503, True)


@pytest.mark.parametrize(
    "respond",
    [
        answering(404),
        answering(302, location="https://other.example/"),
        answering(200, b"<html>"),
        answering(200, b"[]"),
        answering(200, b'{"keys": {}}'),
        answering(200, b"[" * 100_000),
        answering(200, b" " * (MAX_BYTES + 1)),
        answering(200, gzip.compress(b'{"keys": []}'), content_encoding="gzip"),
        raw(b""),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
    ],
    ids=range(10),
)
async def test_an_invalid_jwks_response_is_503(issuer: Issuer, learner: Person, respond: Respond) -> None:
    issuer.server.respond = respond
    assert await issuer.status(token(learner.id)) == 503


async def test_an_issuer_without_keys_is_believed(issuer: Issuer, learner: Person) -> None:
    issuer.server.respond = jwks()
    assert await issuer.status(token(learner.id)) == 401


async def test_a_slow_issuer_does_not_delay_tokens_with_a_cached_key(api: Api, learner: Person) -> None:
    asked, clock = asyncio.Event(), Clock()
    first: Keys = {"ec": jwt.PyJWK(jwk(EC, "ec"))}

    async def fetch(_: str) -> Keys:
        if clock.now:
            asked.set()
            await asyncio.Event().wait()
        return first

    settings = ExternalIssuer.model_validate(
        {"issuer": NAME, "audience": AUDIENCE, "jwks_url": "https://id.example/jwks", "organization": "any"}
    )
    issuers = ExternalIssuers([settings], fetch, api.services.principals.find, clock)
    headers = {"Authorization": f"Bearer {token(learner.id)}"}
    async with client_with(api, issuers=issuers) as client:
        before = await client.get("/api/v1/me", headers=headers)
        clock.now = REFRESH_S
        meanwhile = await client.get("/api/v1/me", headers=headers)
        await asked.wait()
    assert (before.status_code, meanwhile.status_code) == (200, 200)
