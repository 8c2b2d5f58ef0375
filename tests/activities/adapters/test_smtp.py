"""Sending mails to a real SMTP server."""

import socket
from dataclasses import replace
from urllib.parse import quote
from uuid import uuid4

import pytest
from pydantic import ValidationError

from activities.adapters.mail.smtp import MailSettings, SmtpMailer
from deploy.local.ports import free_port
from domain.account_links import Message, SentMail
from domain.errors import ExternalServiceError
from tests.support.mail_server import PASSWORD, USER, mail_server

MESSAGE = Message(id=uuid4(), to="ada@school.example", subject="Einladung für Ädä", text="Grüße\n\nhttps://x/#secret\n")
RIGHT = f"{USER}:{quote(PASSWORD, safe='')}@"


async def test_a_mail_arrives_with_its_text_and_an_id_that_stays_the_same() -> None:
    with mail_server() as inbox:
        for _ in range(2):
            assert await SmtpMailer(inbox.settings()).send(MESSAGE) is SentMail.ACCEPTED

    first, second = inbox.mails
    assert (first["To"], first["From"]) == (MESSAGE.to, "A School <no-reply@school.example>")
    assert (first["Subject"], first.get_content().replace("\r\n", "\n")) == (MESSAGE.subject, MESSAGE.text)
    assert first["Message-ID"] == second["Message-ID"] == f"<{MESSAGE.id}@school.example>"
    assert first["Auto-Submitted"] == "auto-generated"


@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\u2028", "\x85", "\v"])
async def test_a_subject_of_several_lines_becomes_one_line(line_end: str) -> None:
    message = replace(MESSAGE, subject=f"A school{line_end}Bcc: eve@evil.example invites you")
    with mail_server() as inbox:
        assert await SmtpMailer(inbox.settings()).send(message) is SentMail.ACCEPTED

    assert inbox.mails[0]["Subject"] == "A school Bcc: eve@evil.example invites you"
    assert inbox.mails[0]["Bcc"] is None


async def test_the_password_in_the_url_is_decoded() -> None:
    with mail_server(auth=True) as inbox:
        assert await SmtpMailer(inbox.settings(RIGHT)).send(MESSAGE) is SentMail.ACCEPTED


async def test_a_refused_password_is_reported_without_it() -> None:
    with mail_server(auth=True) as inbox, pytest.raises(ExternalServiceError) as caught:
        await SmtpMailer(inbox.settings(f"{USER}:wrong-one@")).send(MESSAGE)

    assert "refuses the password" in caught.value.message
    assert "wrong-one" not in caught.value.message


async def test_a_refused_mail_is_not_sent_again() -> None:
    with mail_server() as inbox:
        inbox.replies = ["554 looks like spam"]
        assert await SmtpMailer(inbox.settings()).send(MESSAGE) is SentMail.REFUSED


async def test_a_refused_recipient_is_not_tried_again() -> None:
    with mail_server() as inbox:
        inbox.recipient_replies = ["550 no such user"]
        assert await SmtpMailer(inbox.settings()).send(MESSAGE) is SentMail.REFUSED


@pytest.mark.parametrize("field", ["replies", "recipient_replies"])
async def test_a_server_that_asks_to_try_later_is_tried_again(field: str) -> None:
    with mail_server() as inbox:
        setattr(inbox, field, ["451 greylisted, ask ada@school.example later"])
        with pytest.raises(ExternalServiceError, match="451") as caught:
            await SmtpMailer(inbox.settings()).send(MESSAGE)

    assert "ada" not in caught.value.message


@pytest.mark.parametrize(("replies", "sent"), [([], SentMail.ACCEPTED), (["554 no"], SentMail.REFUSED)])
async def test_an_error_at_the_end_of_the_session_does_not_change_the_answer(
    replies: list[str], sent: SentMail
) -> None:
    with mail_server() as inbox:
        inbox.farewell, inbox.replies = "421 shutting down", replies
        assert await SmtpMailer(inbox.settings()).send(MESSAGE) is sent


async def test_an_unreachable_server_is_tried_again() -> None:
    settings = MailSettings.model_validate({"smtp_url": f"smtp://127.0.0.1:{free_port()}", "smtp_from": "a@b.example"})

    with pytest.raises(ExternalServiceError, match="unavailable"):
        await SmtpMailer(settings).send(MESSAGE)


async def test_a_server_without_starttls_gets_no_mail_unless_tls_is_off() -> None:
    with mail_server() as inbox:
        settings = inbox.settings().model_copy(update={"smtp_tls": True})
        with pytest.raises(ExternalServiceError):
            await SmtpMailer(settings).send(MESSAGE)

    assert inbox.mails == []


async def test_a_server_that_only_listens_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("activities.adapters.mail.smtp.TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"smtp://127.0.0.1:{mute.getsockname()[1]}"
        settings = MailSettings.model_validate({"smtp_url": url, "smtp_from": "a@b.example"})
        with pytest.raises(ExternalServiceError, match="unavailable"):
            await SmtpMailer(settings).send(MESSAGE)


async def test_without_a_mail_server_a_mail_waits() -> None:
    with pytest.raises(ExternalServiceError, match="SMTP_URL"):
        await SmtpMailer(MailSettings()).send(MESSAGE)


@pytest.mark.parametrize(
    "values",
    [
        {"smtp_url": "http://mail.example", "smtp_from": "a@b.example"},
        {"smtp_url": "smtp:///no-host", "smtp_from": "a@b.example"},
        {"smtp_url": "smtp://mail.example:mail", "smtp_from": "a@b.example"},
        {"smtp_url": "smtp://school:se#cret@mail.example", "smtp_from": "a@b.example"},
        {"smtp_url": "smtp://mail.example"},
        {"smtp_url": "smtp://mail.example", "smtp_from": "nobody"},
        {"smtp_url": "smtp://mail.example", "smtp_from": "a@b.example\r\nBcc: all@b.example"},
    ],
)
def test_wrong_settings_are_refused_without_being_shown(values: dict[str, str]) -> None:
    with pytest.raises(ValidationError) as caught:
        MailSettings.model_validate(values)

    assert values["smtp_url"] not in str(caught.value)
