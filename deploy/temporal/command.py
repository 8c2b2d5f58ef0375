"""Calls of the command `temporal`. Each call that changes something is printed first."""

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
    """`temporal` failed. The message is its standard error."""


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def change(*arguments: str) -> None:
    """Print and run a command that changes something. Raises CommandRefusedError if the server refuses it."""
    say(f"  {shlex.join(('temporal', *arguments))}")
    _run([*arguments, "--yes"])


def ask(*arguments: str) -> Json:
    """Run a command and return its decoded JSON output.

    Raises:
        CommandRefusedError: the command failed.
    """
    answer: Json = json.loads(_run([*arguments, "--output", "json"]) or "{}")
    return answer


def count(query: str) -> int:
    """Count the runs that match a List Filter."""
    return int(ask("workflow", "count", "--query", query).get("count", 0))


def _run(arguments: Sequence[str]) -> str:
    """Run the command, which reads TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and similar variables."""
    path = os.pathsep.join([sysconfig.get_path("scripts"), os.environ.get("PATH", "")])
    program = shutil.which("temporal", path=path)
    if program is None:
        raise CommandRefusedError("The command `temporal` is not on the PATH. It is in the .venv of `make install`.")
    ran = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)  # noqa: S603  # no shell
    if ran.returncode:
        raise CommandRefusedError(ran.stderr.strip())
    return ran.stdout
