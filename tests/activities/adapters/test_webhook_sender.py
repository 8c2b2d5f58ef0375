"""Requests to partners that work, are slow, broken or hostile; each attempt has an outcome."""

import asyncio
import re
import socket
import struct
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import httpcore
import pytest
from standardwebhooks import Webhook

from activities.adapters.webhooks.public_network import PublicNetwork
from activities.adapters.webhooks.sender import READ_BYTES, HttpWebhookSender, WebhookSettings
from deploy.local.ports import HOST, free_port
from domain.errors import CorruptData
from domain.webhooks.deliveries import AttemptOutcome, WebhookSender
from tests.activities.adapters.webhook_messages import BODY, SOON, a_message
from tests.support.fakes import ScriptedSender, answer
from tests.support.partners import CIPHER, Partner, Respond, a_secret, answering, dripping, hanging, raw


async def test_a_partner_can_verify_exactly_what_was_sent(partner: Partner, sender: HttpWebhookSender) -> None:
    secret = a_secret()
    message = a_message(partner.url, secret)

    found = await sender.send(message)

    (request,) = partner.received
    assert (found.outcome, found.code) == (AttemptOutcome.DELIVERED, 200)
    assert request.line == "POST /hooks?a=b HTTP/1.1"
    assert request.body == BODY
    assert request.headers["webhook-id"] == str(message.event_id)
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == partner.url.split("/")[2]
    Webhook(secret).verify(request.body, dict(request.headers), json_parse=False)


async def test_the_standards_own_vector(partner: Partner, sender: HttpWebhookSender) -> None:
    message = a_message(
        partner.url,
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        event_id="msg_p5jXN8AQM9LWM0D4loKWxJek",  # no UUID, but the vector's
        body=b'{"test": 2432232314}',
        sent_at=datetime.fromtimestamp(1614265330, tz=timezone(timedelta(hours=-7))),
    )

    await sender.send(message)

    (request,) = partner.received
    assert request.headers["webhook-timestamp"] == "1614265330"
    assert request.headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_both_secrets_sign_during_a_rotation(partner: Partner, sender: HttpWebhookSender) -> None:
    secrets = (a_secret(), a_secret())

    await sender.send(a_message(partner.url, *secrets))

    (request,) = partner.received
    assert len(request.headers["webhook-signature"].split(" ")) == 2
    for secret in secrets:
        Webhook(secret).verify(request.body, dict(request.headers), json_parse=False)


async def test_a_secret_that_cannot_be_decrypted_is_an_error_of_this_service(
    partner: Partner, sender: HttpWebhookSender
) -> None:
    message = replace(a_message(partner.url), secrets=(b"",))

    with pytest.raises(CorruptData):
        await sender.send(message)

    assert partner.received == []


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (204, AttemptOutcome.DELIVERED),
        (410, AttemptOutcome.GONE),
        (400, AttemptOutcome.REFUSED),
        (500, AttemptOutcome.REFUSED),
    ],
)
async def test_the_status_decides(
    partner: Partner, sender: HttpWebhookSender, status: int, outcome: AttemptOutcome
) -> None:
    partner.respond = answering(status)

    found = await sender.send(a_message(partner.url))

    assert (found.outcome, found.code) == (outcome, status)


async def test_a_redirect_is_not_followed(partner: Partner, sender: HttpWebhookSender) -> None:
    async with Partner() as other:
        partner.respond = answering(307, location=other.url)

        found = await sender.send(a_message(partner.url))

    assert (found.outcome, found.code) == (AttemptOutcome.REFUSED, 307)
    assert other.received == []


@pytest.mark.parametrize(
    ("header", "wait_s"), [("120", 120), ("-1", 0), ("nan", None), ("inf", 86_400), ("later", None), ("\xff", None)]
)
async def test_the_wait_that_a_partner_asks_for_is_returned(
    partner: Partner, sender: HttpWebhookSender, header: str, wait_s: float | None
) -> None:
    partner.respond = raw(f"HTTP/1.1 503 Busy\r\nRetry-After: {header}\r\nContent-Length: 0\r\n\r\n".encode("latin-1"))

    found = await sender.send(a_message(partner.url))

    assert (found.code, found.retry_after_s) == (503, wait_s)


async def test_the_beginning_of_the_answer_is_kept_as_the_database_can_hold_it(
    partner: Partner, sender: HttpWebhookSender
) -> None:
    partner.respond = answering(500, b"no\x00 such\xff thing" + b"." * 2000)

    found = await sender.send(a_message(partner.url))

    assert found.excerpt is not None
    assert found.excerpt.startswith("no such\ufffd thing...")
    assert len(found.excerpt) == 1023


async def test_an_answer_without_end_is_read_to_a_limit(partner: Partner, sender: HttpWebhookSender) -> None:
    partner.respond = dripping(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 2 * READ_BYTES)

    found = await sender.send(a_message(partner.url))

    assert (found.outcome, found.excerpt) == (AttemptOutcome.DELIVERED, "x" * 1024)


def head(status: int, *lines: str) -> bytes:
    """The head of a response that promises a body."""
    return "\r\n".join([f"HTTP/1.1 {status} Whatever", "Retry-After: 7", *lines, "", ""]).encode()


def resetting(text: bytes) -> Respond:
    """Send these bytes, then reset the connection."""

    async def respond(writer: asyncio.StreamWriter) -> None:
        writer.write(text)
        await writer.drain()
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    return respond


BROKEN_BODIES = {
    "short": lambda status: raw(head(status, "Content-Length: 10") + b"short"),
    "reset": lambda status: resetting(head(status, "Content-Length: 10") + b"short"),
    "slow": lambda status: dripping(head(status)),
    "never": lambda status: dripping(head(status, "Content-Length: 10"), every_s=60),
    "endless": lambda status: dripping(head(status) + b"x" * 2 * READ_BYTES),
    "no chunk": lambda status: raw(head(status, "Transfer-Encoding: chunked") + b"zz\r\n"),
    "half a chunk": lambda status: raw(head(status, "Transfer-Encoding: chunked") + b"ff\r\nshort"),
    "no gzip": lambda status: raw(head(status, "Content-Encoding: gzip") + b"plain"),
}


@pytest.mark.parametrize("body", BROKEN_BODIES)
@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, AttemptOutcome.DELIVERED), (410, AttemptOutcome.GONE), (422, AttemptOutcome.REFUSED)],
)
async def test_the_status_decides_whatever_becomes_of_the_body(
    partner: Partner, hasty: HttpWebhookSender, status: int, outcome: AttemptOutcome, body: str
) -> None:
    partner.respond = BROKEN_BODIES[body](status)

    found = await hasty.send(a_message(partner.url))

    assert (found.outcome, found.code, found.retry_after_s) == (outcome, status, 7)
    assert found.excerpt is not None
    assert len(found.excerpt) <= 1024


async def test_the_received_part_of_a_short_body_is_kept(partner: Partner, sender: HttpWebhookSender) -> None:
    partner.respond = raw(head(500, "Content-Length: 10") + b"short")

    found = await sender.send(a_message(partner.url))

    assert found.excerpt == "short"


async def test_a_body_without_end_is_read_until_the_deadline_at_most(
    partner: Partner, hasty: HttpWebhookSender
) -> None:
    partner.respond = dripping(head(200))

    async with asyncio.timeout(10 * SOON.deadline_s):
        found = await hasty.send(a_message(partner.url))

    assert found.latency_ms >= 1000 * SOON.deadline_s
    assert hasty._pool.connections == []


async def test_a_connection_whose_body_was_broken_is_not_used_again(
    partner: Partner, sender: HttpWebhookSender
) -> None:
    partner.respond = dripping(head(200) + b"x" * 2 * READ_BYTES)
    await sender.send(a_message(partner.url))
    partner.respond = answering(204)

    found = await sender.send(a_message(partner.url))

    assert (found.code, partner.connections) == (204, 2)


@pytest.mark.parametrize("respond", [hanging, dripping()], ids=["hangs", "drips head"])
async def test_the_deadline_is_for_all_of_it(partner: Partner, hasty: HttpWebhookSender, respond: Any) -> None:
    partner.respond = respond

    found = await hasty.send(a_message(partner.url))

    assert (found.outcome, found.code) == (AttemptOutcome.TIMED_OUT, None)
    assert found.latency_ms >= 1000 * SOON.deadline_s


async def test_an_address_that_swallows_connections_is_given_up() -> None:
    async def dial(address: str, port: int, timeout: float) -> httpcore.AsyncNetworkStream:  # noqa: ASYNC109  # the port's
        del address, port, timeout
        await asyncio.Event().wait()
        raise AssertionError

    sender = HttpWebhookSender(SOON, CIPHER.decrypt, PublicNetwork(loopback=True, dial=dial))

    found = await sender.send(a_message(f"http://{HOST}:1/"))

    assert found.outcome is AttemptOutcome.TIMED_OUT


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\x00\x01\x02",
        b"HTTP/1.1 200",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: " + b"y" * 200_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.0\r\n",
    ],
    ids=range(8),
)
async def test_a_response_that_is_not_http_is_an_outcome(
    partner: Partner, sender: HttpWebhookSender, text: bytes
) -> None:
    partner.respond = raw(text)

    found = await sender.send(a_message(partner.url))

    assert (found.outcome, found.code) == (AttemptOutcome.UNREACHABLE, None)


async def test_a_refused_connection_is_an_outcome(sender: HttpWebhookSender) -> None:
    found = await sender.send(a_message(f"http://{HOST}:{free_port()}/"))

    assert found.outcome is AttemptOutcome.UNREACHABLE


@pytest.mark.parametrize("kind", ["fake", "real"])
async def test_the_fake_answers_as_the_real_one_does(partner: Partner, sender: HttpWebhookSender, kind: str) -> None:
    script = [answer(200), answer(503, retry_after_s=7.0), answer(410)]
    under_test: WebhookSender = ScriptedSender(list(script)) if kind == "fake" else sender

    for expected in script:
        partner.respond = answering(expected.code or 0, retry_after=str(expected.retry_after_s))
        found = await under_test.send(a_message(partner.url))

        assert replace(found, latency_ms=1, excerpt=None) == expected


def test_neither_body_nor_secrets_are_printed() -> None:
    message = a_message("https://partner.example/", body=b"what-a-learner-wrote")

    assert not re.search("learner|secrets", repr(message))


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_ALLOW_LOOPBACK", "true")
    monkeypatch.setenv("MICROCRED_ENV", "development")
    monkeypatch.setenv("WEBHOOK_OWN_HOSTS", "")

    settings = WebhookSettings()

    assert (settings.allow_loopback, settings.own, settings.deadline_s) == (True, frozenset(), 15.0)
