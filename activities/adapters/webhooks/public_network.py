"""Connections to public addresses only, whatever a partner's name resolves to at that moment."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Final, TypeAlias

import httpcore

from domain.webhooks.ip_ranges import IpAddress, is_public

ADDRESS_DEADLINE_S: Final = 5.0
"""For one address, so that a dead one does not use up the time of the next."""
RESOLVING_AT_ONCE: Final = 32

Resolve: TypeAlias = Callable[[str], Awaitable[Sequence[str]]]
"""A name's addresses in the order in which they are tried; OSError where it has none."""
Dial: TypeAlias = Callable[[str, int, float], Awaitable[httpcore.AsyncNetworkStream]]
"""Connects to an address and a port within seconds."""


class ForbiddenAddress(Exception):
    """A host has an address that is not to be called."""


class PublicNetwork(httpcore.AsyncNetworkBackend):
    """The network as an HTTP client sees it.

    A name is resolved for each connection, all its addresses are judged, and the connection goes to the very address
    that was judged: what the name resolves to a moment later does not matter. TLS and the Host header keep the name.
    """

    def __init__(self, *, loopback: bool, resolve: Resolve | None = None, dial: Dial | None = None) -> None:
        """`loopback` allows this machine's own addresses too: for development only."""
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
        """Tries the host's addresses in order.

        Raises:
            ForbiddenAddress: one of them is not public; none is called then.
            httpcore.ConnectError, httpcore.ConnectTimeout: none answers.
        """
        del timeout, local_address, socket_options  # the caller's own deadline surrounds all of it
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
    """The system's resolver, on threads of its own.

    All who wait for a name share one thread, so that a partner whose name servers are dead holds no more than that.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(RESOLVING_AT_ONCE, "resolve")
        self._asked: dict[str, asyncio.Future[list[str]]] = {}

    async def resolve(self, host: str) -> list[str]:
        if host not in self._asked:
            asked = asyncio.get_running_loop().run_in_executor(self._threads, _addresses_of, host)
            asked.add_done_callback(lambda done: self._forget(host, done))
            self._asked[host] = asked
        return await asyncio.shield(self._asked[host])

    def _forget(self, host: str, done: asyncio.Future[list[str]]) -> None:
        del self._asked[host]
        if not done.cancelled():
            done.exception()  # perhaps nobody waits for it any more


def _addresses_of(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address) for *_, (address, *_) in found))
