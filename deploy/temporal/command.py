"""The command `temporal`, as an operator would type it: every call that changes something is printed first."""

import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]


class CommandRefusedError(Exception):
    """What `temporal` said on its standard error."""


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def change(*arguments: str) -> None:
    """Raises CommandRefusedError when the server does not do it."""
    say(f"  {shlex.join(('temporal', *arguments))}")
    _run([*arguments, "--yes"])


def ask(*arguments: str) -> Json:
    """The answer, decoded.

    Raises:
        CommandRefusedError: there is none.
    """
    answer: Json = json.loads(_run([*arguments, "--output", "json"]) or "{}")
    return answer


def count(query: str) -> int:
    """How many runs a List Filter finds."""
    return int(ask("workflow", "count", "--query", query).get("count", 0))


def _run(arguments: Sequence[str]) -> str:
    """Connects as TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and the like say; the command reads them itself."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    program = shutil.which("temporal", path=path)
    if program is None:
        raise CommandRefusedError("There is no command `temporal` on the PATH")
    ran = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)  # noqa: S603  # no shell
    if ran.returncode:
        raise CommandRefusedError(ran.stderr.strip())
    return ran.stdout
