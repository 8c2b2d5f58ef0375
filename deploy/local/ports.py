"""TCP ports of this machine: find free ones, and explain why a wanted one is not available."""

import errno
import secrets
import socket
import time
from collections.abc import Mapping

HOST = "127.0.0.1"

_SERVERS = range(10_000, 32_768)
"""The ports for servers. Linux gives the ports above them to outgoing connections, so one could take the port first."""

_returned: set[int] = set()


def free_port() -> int:
    """Return a port that is free at this moment and that this process was not given before."""
    while (port := secrets.choice(_SERVERS)) in _returned or problem(port) is not None:
        pass
    _returned.add(port)
    return port


def problem(port: int) -> str | None:
    """Return the reason why a program cannot listen on `port`, or None."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do, so that TIME_WAIT is ignored
        try:
            probe.bind((HOST, port))
            probe.listen(1)
        except OSError as error:
            return "is used by another program" if error.errno == errno.EADDRINUSE else f"{error.strerror}"
    return None


def check(wanted: Mapping[str, int], *, patience_s: float = 0.0) -> list[str]:
    """Return one line per port that is not available, with the variable that sets it. `wanted` maps variables to ports.

    Wait up to `patience_s` for the servers of a stack that was killed just before.
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
            lines.append(f"Port {port} is set twice, by {owner} and {variable}. Set one of them to another port.")
        elif reason := problem(port):
            lines.append(f"Port {port} ({variable}) {reason}. Set {variable} to another port, or free this one.")
    return lines
