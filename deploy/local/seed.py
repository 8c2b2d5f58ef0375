"""Load content, demo accounts, and the catalogue's vectors and index into the local stack. Idempotent."""

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from api.security.passwords import hash_password
from deploy.local.embed import embed_and_index
from deploy.local.process import PROGRESS
from persistence.content.loader import load_content
from persistence.database import DatabaseSettings, create_engine
from persistence.repositories.accounts import NewAccount, ensure_accounts
from persistence.repositories.embeddings import SqlEmbeddingArtifacts
from persistence.vectors.weaviate_settings import WeaviateSettings

CONTENT: Final = Path(__file__).parents[1] / "content"
ROLES: Final = {"STUDENT": "student", "ADVISOR": "advisor", "ADMIN": "admin", "PLATFORM_ADMIN": "admin"}


async def main() -> None:
    engine = create_engine(DatabaseSettings())
    try:
        report("loading roles, questions and credentials")
        await load_content(engine, CONTENT)
        report("creating the demo accounts")
        await ensure_accounts(engine, "demo", "Demo organization", demo_accounts())
        await embed_and_index(SqlEmbeddingArtifacts(engine), WeaviateSettings(), report)
    finally:
        await engine.dispose()


def report(text: str) -> None:
    """Write a line that the stack prints in the terminal while it waits for this program."""
    sys.stdout.write(f"{PROGRESS}{text}\n")
    sys.stdout.flush()


def demo_accounts() -> list[NewAccount]:
    """Return the accounts of `.local/stack.env` with the passwords in the environment."""
    with ThreadPoolExecutor() as threads:
        hashes = threads.map(hash_password, [os.environ[f"{account}_PASSWORD"] for account in ROLES])
    return [
        NewAccount(
            email=os.environ[f"{account}_EMAIL"],
            password_hash=password_hash,
            role=role,
            platform=account == "PLATFORM_ADMIN",
        )
        for (account, role), password_hash in zip(ROLES.items(), hashes, strict=True)
    ]


if __name__ == "__main__":
    asyncio.run(main())
