"""Connections use only addresses that were checked, even when the DNS record changes."""

import asyncio
from collections.abc import Callable, Sequence

import httpcore
import pytest

from activities.adapters.webhooks.public_network import ForbiddenAddress, PublicNetwork, SystemResolver
from deploy.local.ports import HOST, free_port
from tests.support.addresses import NOT_PUBLIC, PUBLIC

V4, V6 = "93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"


class Dials:
    """A dial that records its addresses; those in `dead` do not respond."""

    def __init__(self, dead: Sequence[str] = ()) -> None:
        self.dead = dead
        self.tried: list[tuple[str, int]] = []

    async def __call__(self, address: str, port: int, timeout: float) -> httpcore.AsyncNetworkStream:  # noqa: ASYNC109  # the port's
        assert timeout > 0
        self.tried.append((address, port))
        if address in self.dead:
            raise httpcore.ConnectTimeout
        return httpcore.AsyncMockStream([])


def resolving(*answers: Sequence[str]) -> Callable[[str], "asyncio.Future[Sequence[str]]"]:
    """A resolver that returns one answer after the other."""
    left = list(answers)

    def resolve(host: str) -> "asyncio.Future[Sequence[str]]":
        assert host == "partner.example"
        found = asyncio.get_running_loop().create_future()
        found.set_result(left.pop(0))
        return found

    return resolve


async def dialled(
    *answers: Sequence[str], loopback: bool = False, dead: Sequence[str] = ()
) -> tuple[Dials, PublicNetwork]:
    dials = Dials(dead)
    return dials, PublicNetwork(loopback=loopback, resolve=resolving(*answers), dial=dials)


@pytest.mark.parametrize("address", PUBLIC)
async def test_the_connection_uses_the_address_that_was_checked(address: str) -> None:
    dials, network = await dialled([address])

    await network.connect_tcp("partner.example", 443)

    assert dials.tried == [(address, 443)]


@pytest.mark.parametrize("address", NOT_PUBLIC)
async def test_a_name_of_an_address_that_is_not_public_is_not_connected_to(address: str) -> None:
    dials, network = await dialled([address])

    with pytest.raises(ForbiddenAddress):
        await network.connect_tcp("partner.example", 443)

    assert dials.tried == []


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "::1", "fe80::1%eth0", "::ffff:10.0.0.1"])
async def test_an_address_without_a_name_is_checked(address: str) -> None:
    dials, network = await dialled()

    with pytest.raises(ForbiddenAddress):
        await network.connect_tcp(address, 443)

    assert dials.tried == []


@pytest.mark.parametrize("answer", [[V4, "10.0.0.1"], ["10.0.0.1", V4], [V6, "::1"], [V4, V6, "::ffff:8.8.8.8"]])
async def test_one_forbidden_address_among_others_forbids_the_name(answer: Sequence[str]) -> None:
    dials, network = await dialled(answer)

    with pytest.raises(ForbiddenAddress):
        await network.connect_tcp("partner.example", 443)

    assert dials.tried == []


async def test_a_name_is_checked_at_every_connection() -> None:
    dials, network = await dialled([V4], ["127.0.0.1"])

    await network.connect_tcp("partner.example", 443)
    with pytest.raises(ForbiddenAddress):
        await network.connect_tcp("partner.example", 443)

    assert dials.tried == [(V4, 443)]


async def test_the_next_address_is_tried_when_one_does_not_answer() -> None:
    dials, network = await dialled([V6, V4], dead=[V6])

    await network.connect_tcp("partner.example", 443)

    assert dials.tried == [(V6, 443), (V4, 443)]


async def test_the_last_failure_is_raised_when_no_address_responds() -> None:
    _, network = await dialled([V6, V4], dead=[V6, V4])

    with pytest.raises(httpcore.ConnectTimeout):
        await network.connect_tcp("partner.example", 443)


async def test_a_name_without_an_address_cannot_be_connected_to() -> None:
    _, network = await dialled([])

    with pytest.raises(httpcore.ConnectError):
        await network.connect_tcp("partner.example", 443)


@pytest.mark.parametrize(("address", "allowed"), [("127.0.0.1", True), ("::1", True), ("10.0.0.1", False)])
async def test_the_development_setting_allows_loopback_only(address: str, allowed: bool) -> None:  # noqa: FBT001  # a row of the table
    dials, network = await dialled([address], loopback=True)

    if allowed:
        await network.connect_tcp("partner.example", 8080)
    else:
        with pytest.raises(ForbiddenAddress):
            await network.connect_tcp("partner.example", 8080)

    assert dials.tried == [(address, 8080)][: int(allowed)]


async def test_the_real_dial_reaches_a_server() -> None:
    async def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.close()

    port = free_port()
    async with await asyncio.start_server(greet, HOST, port):
        stream = await PublicNetwork(loopback=True).connect_tcp("localhost", port)

        assert await stream.read(16) == b"hello"
        await stream.aclose()


async def test_the_system_resolves_this_machine() -> None:
    assert "127.0.0.1" in await SystemResolver().resolve("localhost")


async def test_a_name_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(OSError, match=r".+"):
        await SystemResolver().resolve("does-not-exist.invalid")


async def test_concurrent_lookups_of_a_name_share_one_request() -> None:
    resolver = SystemResolver()
    first, second = (asyncio.create_task(resolver.resolve("localhost")) for _ in range(2))
    await asyncio.sleep(0)

    assert len(resolver._lookups) == 1
    first.cancel()

    assert "127.0.0.1" in await second
    assert resolver._lookups == {}
