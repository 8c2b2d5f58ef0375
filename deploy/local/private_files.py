"""Files that only their owner may read: generated secrets and the environment file."""

import json
import os
import secrets
import shlex
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

SECRET_BYTES = 32


def write(path: Path, text: str) -> None:
    """Write the file atomically with mode 600."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.")  # mkstemp sets mode 600
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    Path(temporary).replace(path)


def stored_secrets(path: Path, names: Iterable[str]) -> dict[str, str]:
    """Return a secret per name from `path`. Generate and store the missing ones."""
    kept: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    missing = [name for name in names if name not in kept]
    if missing:
        kept |= {name: secrets.token_urlsafe(SECRET_BYTES) for name in missing}
        write(path, json.dumps(kept, indent=2) + "\n")
    return {name: kept[name] for name in names}


def env_file(values: Mapping[str, str]) -> str:
    """Return lines NAME=value that a shell can source, quoted if needed."""
    return "".join(f"{name}={shlex.quote(value) if value else ''}\n" for name, value in values.items())
