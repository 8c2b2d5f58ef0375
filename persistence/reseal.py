"""`python -m persistence.reseal`: re-encrypt every stored secret with the first of WEBHOOK_SECRET_KEYS.

After it, the other keys can be removed from the setting.
"""

import asyncio
import sys

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import CorruptData
from persistence.database import DatabaseSettings, create_engine
from persistence.encryption import EncryptionSettings, SecretCipher
from persistence.tables import WebhookEndpointRow


async def reseal(session: AsyncSession, cipher: SecretCipher) -> int:
    """Re-encrypt the secrets of all webhook endpoints, while deliveries continue; return the number of endpoints.

    Raises:
        CorruptData: none of the cipher's keys decrypts a secret.
    """
    endpoint = WebhookEndpointRow
    held = select(endpoint).where(func.length(endpoint.secret) > 0).order_by(endpoint.id).with_for_update()
    rows = (await session.scalars(held)).all()
    for row in rows:
        row.secret = cipher.rotate(row.secret)
        row.previous_secret = row.previous_secret and cipher.rotate(row.previous_secret)
    return len(rows)


async def main() -> None:
    engine = create_engine(DatabaseSettings())
    try:
        async with AsyncSession(engine) as session, session.begin():
            endpoints = await reseal(session, EncryptionSettings().cipher())
    finally:
        await engine.dispose()
    sys.stdout.write(
        f"Encrypted the secrets of {endpoints} endpoints with the first key; the other keys can be removed\n"
    )


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except CorruptData as error:
        sys.exit(error.message)
