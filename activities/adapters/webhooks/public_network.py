"""Connect to public IP addresses only, to prevent server-side request forgery and DNS rebinding."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Final, TypeAlias

import httpcore

from domain.webhooks.ip_ranges import IpAddress, is_public

ADDRESS_DEADLINE_S: Final = 5.0
"""The connect timeout of one address, so that an unreachable one leaves time for the next."""
RESOLVING_AT_ONCE: Final = 32

Resolve: TypeAlias = Callable[[str], Awaitable[Sequence[str]]]
"""Return the addresses of a host name in the order to try; raise OSError without any."""
Dial: TypeAlias = Callable[[str, int, float], Awaitable[httpcore.AsyncNetworkStream]]
"""Connect to an address and a port within the given seconds."""


class ForbiddenAddress(Exception):
    """A host has an address that must not be connected to."""


class PublicNetwork(httpcore.AsyncNetworkBackend):
    """A network backend for an HTTP client that connects to public addresses only.

    Each connection resolves the host name, checks all its addresses, and connects to an address that was checked. So a
    later change of the DNS record has no effect. TLS and the Host header still use the name.
    """

    def __init__(self, *, loopback: bool, resolve: Resolve | None = None, dial: Dial | None = None) -> None:
        """`loopback` also allows loopback addresses, for development only."""
        self._loopback = loopback
        self._resolve = resolve or SystemResolver().resolve
        self._dial = dial or httpcore.AnyIOBackend().connect_tcp

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109  # the library's signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """Try the host's addresses in order.

        Raises:
            ForbiddenAddress: one of the addresses is not public; no connection is made.
            httpcore.ConnectError, httpcore.ConnectTimeout: no address accepts a connection.
        """
        del timeout, local_address, socket_options  # the caller's deadline covers all attempts
        failure: Exception = httpcore.ConnectError("The host has no address")
        for address in await self._addresses(host):
            try:
                return await self._dial(str(address), port, ADDRESS_DEADLINE_S)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def _addresses(self, host: str) -> list[IpAddress]:
        try:
            found = [ip_address(host)]
        except ValueError:
            found = [ip_address(each) for each in await self._resolve(host)]
        if not all(is_public(each) or (self._loopback and each.is_loopback) for each in found):
            raise ForbiddenAddress
        return found


class SystemResolver:
    """The system's resolver, in its own thread pool.

    Concurrent lookups of a name share one thread, so a partner whose name servers do not respond blocks only one.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVING_AT_ONCE, "resolve")
        self._lookups: dict[str, asyncio.Future[list[str]]] = {}

    async def resolve(self, host: str) -> list[str]:
        if host not in self._lookups:
            lookup = asyncio.get_running_loop().run_in_executor(self._threads, _addresses_of, host)
            lookup.add_done_callback(lambda done: self._forget(host, done))
            self._lookups[host] = lookup
        return await asyncio.shield(self._lookups[host])

    def _forget(self, host: str, done: asyncio.Future[list[str]]) -> None:
        del self._lookups[host]
        if not done.cancelled():
            done.exception()  # retrieved, because every waiter may have been cancelled


def _addresses_of(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address) for *_, (address, *_) in found))
