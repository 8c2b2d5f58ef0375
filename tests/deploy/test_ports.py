import socket
from collections.abc import Iterator

import pytest

from deploy.local import ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server((ports.HOST, 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_is_reported_with_the_variable_that_sets_it(taken: int) -> None:
    (line,) = ports.check({"API_PORT": taken})

    assert str(taken) in line
    assert "API_PORT" in line


def test_a_port_taken_on_all_addresses_is_reported() -> None:
    with socket.create_server(("", 0)) as server:
        assert ports.check({"API_PORT": server.getsockname()[1]})


def test_free_ports_are_not_reported() -> None:
    assert ports.check({"API_PORT": ports.free_port()}) == []


def test_two_free_ports_are_never_the_same() -> None:
    assert len({ports.free_port() for _ in range(500)}) == 500


def test_one_port_for_two_parts_is_reported() -> None:
    port = ports.free_port()

    (line,) = ports.check({"API_PORT": port, "TEMPORAL_PORT": port})

    assert "API_PORT and TEMPORAL_PORT" in line


def test_every_taken_port_gets_a_line(taken: int) -> None:
    with socket.create_server((ports.HOST, 0)) as other:
        assert len(ports.check({"API_PORT": taken, "POSTGRES_PORT": other.getsockname()[1]})) == 2
