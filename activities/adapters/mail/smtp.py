"""Send mails over SMTP with the standard library, in a thread."""

import asyncio
import smtplib
import ssl
from collections.abc import Collection
from contextlib import closing, suppress
from email.message import EmailMessage
from email.utils import formatdate, parseaddr
from typing import Annotated, Final, Literal, Self
from urllib.parse import SplitResult, unquote, urlsplit

import structlog
from pydantic import AfterValidator, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from domain.account_links import Message, SentMail
from domain.errors import ExternalServiceError

TIMEOUT_S: Final = 15.0
"""The longest wait for one answer of the mail server."""
_PORTS: Final = {"smtp": 587, "smtps": 465}
_PERMANENT: Final = range(500, 600)

log = structlog.get_logger(__name__)


def _mail_server(url: SecretStr) -> SecretStr:
    parts = urlsplit(url.get_secret_value())
    more = parts.path.removeprefix("/") or parts.query or parts.fragment
    if parts.scheme not in _PORTS or not parts.hostname or more or not _has_a_valid_port(parts):
        raise ValueError(
            "must be smtp://[user:password@]host[:port] or smtps://…; percent-encode / ? # and @ in the password"
        )
    return url


def _has_a_valid_port(parts: SplitResult) -> bool:
    try:
        return parts.port != 0
    except ValueError:
        return False


def _address(value: str) -> str:
    if "@" not in parseaddr(value)[1] or not value.isascii() or not value.isprintable():
        raise ValueError('must be an address such as "School <no-reply@school.example>"')
    return value


class MailSettings(BaseSettings):
    """The variables `SMTP_…`. Without SMTP_URL no mail is sent.

    `smtp://` encrypts with STARTTLS, which `smtp_tls=false` turns off for a mail server inside the own network;
    `smtps://` encrypts from the start. Certificates are verified.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    smtp_url: Annotated[SecretStr, AfterValidator(_mail_server)] | None = None
    smtp_from: Annotated[str, AfterValidator(_address)] | None = None
    smtp_tls: bool = True

    @model_validator(mode="after")
    def _has_a_sender(self) -> Self:
        if self.smtp_url is not None and self.smtp_from is None:
            raise ValueError("SMTP_FROM must be set with SMTP_URL")
        return self


class SmtpMailer:
    """A `Mailer` that opens a connection per mail. `context` verifies the server's certificate."""

    def __init__(self, settings: MailSettings, context: ssl.SSLContext | None = None) -> None:
        self._url = urlsplit(settings.smtp_url.get_secret_value()) if settings.smtp_url else None
        self._from = settings.smtp_from or ""
        self._tls = settings.smtp_tls
        self._context = context or ssl.create_default_context()

    async def send(self, message: Message) -> SentMail:
        """Send the mail. A server that refuses the mail or its recipient for good is not asked again.

        Raises as `Mailer.send` does. The errors name no address.
        """
        if self._url is None:
            raise ExternalServiceError("No mail server is configured: set SMTP_URL and restart the worker")
        try:
            await asyncio.to_thread(self._send, self._url, self._mail(message))
        except smtplib.SMTPAuthenticationError as error:
            raise ExternalServiceError(f"The mail server refuses the password ({error.smtp_code})") from None
        except smtplib.SMTPRecipientsRefused as error:
            return _refused([code for code, _ in error.recipients.values()])
        except (smtplib.SMTPDataError, smtplib.SMTPSenderRefused) as error:
            return _refused([error.smtp_code])
        except (smtplib.SMTPException, OSError) as error:
            raise ExternalServiceError(f"The mail server is unavailable ({type(error).__name__})") from None
        return SentMail.ACCEPTED

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["From"] = self._from
        mail["To"] = message.to
        mail["Subject"] = " ".join(message.subject.split())  # a header has one line
        mail["Date"] = formatdate()
        mail["Message-ID"] = f"<{message.id}@{parseaddr(self._from)[1].rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.text)
        return mail

    def _send(self, url: SplitResult, mail: EmailMessage) -> None:
        host, port = url.hostname or "", url.port or _PORTS[url.scheme]
        client: smtplib.SMTP
        if url.scheme == "smtps":
            client = smtplib.SMTP_SSL(host, port, timeout=TIMEOUT_S, context=self._context)
        else:
            client = smtplib.SMTP(host, port, timeout=TIMEOUT_S)
        with closing(client):
            if url.scheme == "smtp" and self._tls:
                client.starttls(context=self._context)
            if url.username:
                client.login(unquote(url.username), unquote(url.password or ""))
            client.send_message(mail)
            with suppress(smtplib.SMTPException):  # the server has accepted the mail, whatever it answers now
                client.quit()


def _refused(codes: Collection[int]) -> Literal[SentMail.REFUSED]:
    """Return REFUSED if every code is permanent.

    Raises:
        ExternalServiceError: the server asks to try again later, for example because of greylisting.
    """
    if all(code in _PERMANENT for code in codes):
        log.warning("mail_refused", codes=sorted(codes))
        return SentMail.REFUSED
    raise ExternalServiceError(f"The mail server asks to try again later ({', '.join(map(str, codes))})")
