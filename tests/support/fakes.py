"""Fakes of the database, the list of erasures and the sender of webhooks."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import UUID

from domain.database import Database, Repositories, UnitOfWork
from domain.errors import StorageUnavailable
from domain.webhooks.deliveries import Message, WebhookResponse, outcome_of


@dataclass
class FailingDatabase:
    """A Database that fails for each of the next connections in `failures`, and always while `away` is true."""

    database: Database
    failures: list[bool] = field(default_factory=list)
    away: bool = False

    def transaction(self) -> AbstractAsyncContextManager[UnitOfWork]:
        self._check()
        return self.database.transaction()

    def statement(self) -> AbstractAsyncContextManager[Repositories]:
        self._check()
        return self.database.statement()

    def _check(self) -> None:
        if self.failures.pop(0) if self.failures else self.away:
            raise StorageUnavailable("Away")


@dataclass
class RecordingErasureList:
    """A fake of the port `ErasureList`."""

    people: list[UUID]

    async def add(self, user_id: UUID) -> None:
        if user_id not in self.people:
            self.people.append(user_id)


def answer(code: int = 200, **changes: Any) -> WebhookResponse:
    """Return a partner's response with this status code."""
    return replace(WebhookResponse(outcome=outcome_of(code), latency_ms=1, code=code), **changes)


@dataclass
class ScriptedSender:
    """A fake of `WebhookSender`: returns the responses in order, then repeats the last one. It records its calls."""

    answers: list[WebhookResponse] = field(default_factory=lambda: [answer()])
    sent: list[Message] = field(default_factory=list)

    async def send(self, message: Message) -> WebhookResponse:
        self.sent.append(message)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
