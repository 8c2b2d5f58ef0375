"""Mails of links, as the workflow that sends them uses them."""

from typing import Final
from uuid import UUID

from sqlalchemy import text

from domain.account_links import LIFETIME, PLACEHOLDER, LinkMail, MailStatus, Message
from domain.tokens import hash_of
from persistence.repositories.base import Repository

_FIRST: Final = UUID(int=0)

_PREPARE: Final = text("""
UPDATE account_links AS link
SET token_hashes = token_hashes || CAST(:token_hash AS varchar),
  expires_at = clock_timestamp() + CAST(:lifetime AS interval)
FROM users
WHERE link.id = :link_id AND link.mail_status = 'pending' AND users.id = link.user_id AND users.status = 'active'
  AND users.token_version = link.token_version
RETURNING CAST(users.email AS text) AS email, link.mail
""")
_RECORD: Final = text("""
UPDATE account_links SET mail_status = :status, mail_ended_at = clock_timestamp(), mail = NULL
WHERE id = :link_id AND mail_status = 'pending'
""")
# A mail about an account that has changed is never sent, so it needs no run.
_UNSENT: Final = text("""
SELECT link.id, users.organization_id FROM account_links AS link JOIN users ON users.id = link.user_id
WHERE link.mail_status = 'pending' AND link.created_at < now() - make_interval(secs => :older_than_s)
  AND users.status = 'active' AND users.token_version = link.token_version AND link.id > :after
ORDER BY link.id LIMIT :limit
""")


class SqlLinkMails(Repository):
    async def prepare(self, link_id: UUID, token: str) -> Message | None:
        parameters = {"link_id": link_id, "token_hash": hash_of(token), "lifetime": LIFETIME}
        row = (await self._session.execute(_PREPARE, parameters)).one_or_none()
        if row is None:
            return None
        return Message(
            id=link_id, to=row.email, subject=row.mail["subject"], text=row.mail["text"].replace(PLACEHOLDER, token)
        )

    async def record(self, link_id: UUID, status: MailStatus) -> None:
        await self._session.execute(_RECORD, {"link_id": link_id, "status": status.value})

    async def unsent(self, *, older_than_s: float, after: UUID | None, limit: int) -> tuple[LinkMail, ...]:
        parameters = {"older_than_s": older_than_s, "after": after or _FIRST, "limit": limit}
        rows = (await self._session.execute(_UNSENT, parameters)).all()
        return tuple(LinkMail(id=row.id, organization_id=row.organization_id) for row in rows)
