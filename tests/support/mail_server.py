"""A real SMTP server for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from activities.adapters.mail.smtp import MailSettings
from deploy.local.ports import HOST, free_port

USER, PASSWORD = "mailer", "a/password:with@characters"


@dataclass
class Inbox:
    """Answers with `replies` to the next mails, then accepts all. An accepted mail is in `mails`."""

    port: int
    mails: list[EmailMessage] = field(default_factory=list)
    replies: list[str] = field(default_factory=list)
    recipient_replies: list[str] = field(default_factory=list)
    farewell: str = "221 Bye"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802, ARG002  # the package's names
        if self.recipient_replies:
            return self.recipient_replies.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802, ARG002  # the package's names
        if self.replies:
            return self.replies.pop(0)
        mail = message_from_bytes(envelope.content, _class=EmailMessage, policy=policy.default)
        self.mails.append(mail)
        return "250 OK"

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802, ARG002  # the package's names
        return self.farewell

    def settings(self, user: str = "") -> MailSettings:
        return MailSettings.model_validate(
            {
                "smtp_url": f"smtp://{user}{HOST}:{self.port}",
                "smtp_from": "A School <no-reply@school.example>",
                "smtp_tls": False,
            }
        )


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:  # noqa: ARG001  # the package's signature
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)


@contextmanager
def mail_server(*, auth: bool = False) -> Iterator[Inbox]:
    """Run a server without TLS on a free port."""
    inbox = Inbox(free_port())
    controller = Controller(
        inbox,
        hostname=HOST,
        port=inbox.port,
        auth_require_tls=False,
        authenticator=_authenticate if auth else None,
    )
    controller.start()
    try:
        yield inbox
    finally:
        controller.stop()
