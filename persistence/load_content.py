"""`python -m persistence.load_content [DIR]`: load the content files in DIR (default: `deploy/content`)."""

import asyncio
import sys
from pathlib import Path

from domain.errors import InvalidInput
from persistence.content.loader import load_content
from persistence.database import DatabaseSettings, create_engine


async def main(directory: Path) -> None:
    engine = create_engine(DatabaseSettings())
    try:
        await load_content(engine, directory)
    finally:
        await engine.dispose()


if __name__ == "__main__":
    try:
        asyncio.run(main(Path(*sys.argv[1:2] or ["deploy/content"])))
    except InvalidInput as error:
        sys.exit(error.message)
