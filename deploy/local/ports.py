"""TCP ports of this machine: free ones for tests, and a clear answer when a wanted one is taken."""

import errno
import socket
import time
from collections.abc import Mapping

HOST = "127.0.0.1"


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def problem(port: int) -> str | None:
    """Why nothing can listen on `port`, or None when something can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do: TIME_WAIT is no hindrance
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError as error:
            return "is taken by another program" if error.errno == errno.EADDRINUSE else f"{error.strerror}"
    return None


def check(wanted: Mapping[str, int], *, patience_s: float = 0.0) -> list[str]:
    """One line per port that cannot be had, naming the variable that sets it; `wanted` maps variables to ports.

    `patience_s` is how long to wait for the servers of an earlier run that was killed a moment ago.
    """
    deadline = time.monotonic() + patience_s
    while (lines := _lines(wanted)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return lines


def _lines(wanted: Mapping[str, int]) -> list[str]:
    lines: list[str] = []
    owners: dict[int, str] = {}
    for variable, port in wanted.items():
        if (owner := owners.setdefault(port, variable)) != variable:
            lines.append(f"Port {port} is given twice, as {owner} and {variable}. Set one of them to another port.")
        elif reason := problem(port):
            lines.append(f"Port {port} ({variable}) {reason}. Set {variable} to another port, or free this one.")
    return lines
