"""Connections to partners: certificates, refused addresses, proxies and reuse."""

import asyncio
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from pydantic import ValidationError

from activities.adapters.webhooks.public_network import PublicNetwork
from activities.adapters.webhooks.sender import HttpWebhookSender, WebhookSettings
from deploy.local.ports import HOST, free_port
from domain.webhooks.deliveries import AttemptOutcome
from tests.activities.adapters.webhook_messages import a_message
from tests.support.partners import CIPHER, Partner, hanging


@pytest.fixture
def self_signed(tmp_path: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(days=1))
        .not_valid_after(datetime.now(UTC) + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "server.pem"
    file.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + certificate.public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context


async def test_an_untrusted_certificate_is_rejected(self_signed: ssl.SSLContext, sender: HttpWebhookSender) -> None:
    async with Partner(tls=self_signed) as partner:
        found = await sender.send(a_message(partner.url.replace(HOST, "localhost")))

    assert found.outcome is AttemptOutcome.UNREACHABLE
    assert partner.received == []


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1/x", "https://localhost/x", "https://10.0.0.1/", "ftp://example.com", "", "https://own.example/"],
)
async def test_a_forbidden_address_is_not_called(url: str) -> None:
    sender = HttpWebhookSender(WebhookSettings(own_hosts="other.example, OWN.example."), CIPHER.decrypt)

    found = await sender.send(a_message(url))

    assert found.outcome is AttemptOutcome.FORBIDDEN


async def test_a_name_that_resolves_to_a_private_address_is_not_called() -> None:
    async def resolve(_: str) -> Sequence[str]:
        return ["10.0.0.1"]

    sender = HttpWebhookSender(WebhookSettings(), CIPHER.decrypt, PublicNetwork(loopback=False, resolve=resolve))

    found = await sender.send(a_message("https://partner.example/"))

    assert found.outcome is AttemptOutcome.FORBIDDEN


async def test_the_name_is_asked_for_and_the_address_is_dialled() -> None:
    stream = RecordingStream([b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"])

    async def resolve(_: str) -> Sequence[str]:
        return ["93.184.215.14"]

    async def dial(address: str, port: int, timeout: float) -> httpcore.AsyncNetworkStream:  # noqa: ASYNC109  # the port's
        del timeout
        assert (address, port) == ("93.184.215.14", 443)
        return stream

    sender = HttpWebhookSender(
        WebhookSettings(), CIPHER.decrypt, PublicNetwork(loopback=False, resolve=resolve, dial=dial)
    )

    found = await sender.send(a_message("https://partner.example/hooks"))

    assert found.outcome is AttemptOutcome.DELIVERED
    assert stream.server_hostname == "partner.example"
    assert b"host: partner.example\r\n" in stream.written.lower()


class RecordingStream(httpcore.AsyncMockStream):
    """A connection on which TLS always succeeds."""

    server_hostname: str | None = None
    written = b""

    async def start_tls(
        self, *_: object, server_hostname: str | None = None, **__: object
    ) -> httpcore.AsyncNetworkStream:
        self.server_hostname = server_hostname
        return self

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109  # the library's signature
        del timeout
        self.written += buffer


async def test_the_environments_proxies_are_not_used(
    partner: Partner, sender: HttpWebhookSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://{HOST}:{free_port()}")

    assert (await sender.send(a_message(partner.url))).code == 200


async def test_short_responses_keep_the_connection_and_slow_partners_do_not_delay_others(
    partner: Partner, hasty: HttpWebhookSender
) -> None:
    async with Partner(hanging) as dead:
        waiting = [asyncio.create_task(hasty.send(a_message(dead.url))) for _ in range(50)]
        answers = [await hasty.send(a_message(partner.url)) for _ in range(5)]
        hung = await asyncio.gather(*waiting)

    assert [each.code for each in answers] == [200] * 5
    assert {each.outcome for each in hung} == {AttemptOutcome.TIMED_OUT}
    assert partner.connections == 1


@pytest.mark.parametrize("env", [None, "staging", "production"])
def test_loopback_is_for_development_only(monkeypatch: pytest.MonkeyPatch, env: str | None) -> None:
    monkeypatch.setenv("WEBHOOK_ALLOW_LOOPBACK", "true")
    monkeypatch.delenv("MICROCRED_ENV", raising=False)
    if env:
        monkeypatch.setenv("MICROCRED_ENV", env)

    with pytest.raises(ValidationError, match="WEBHOOK_ALLOW_LOOPBACK"):
        WebhookSettings()
