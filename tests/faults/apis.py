"""Several API processes on one database and one Temporal, as behind a load balancer, without a worker."""

from collections.abc import Mapping
from pathlib import Path

from deploy.local.ports import free_port
from deploy.local.process import Startable
from tests.benchmarks.api import UNLIMITED, serves
from tests.benchmarks.connections import request_bytes
from tests.support.deployment import START_TIMEOUT_S, Deployment, Server


class Apis(Startable):
    """API processes; `ports` has their ports in the order of `servers`."""

    def __init__(self, directory: Path, database_url: str, count: int, more: Mapping[str, str] | None = None) -> None:
        self._rest = Deployment(directory, database_url, UNLIMITED | dict(more or {}))
        self.environment = self._rest.environment
        self.ports = [free_port() for _ in range(count)]
        self.servers = [
            Server(f"api-{port}", ("-m", "api"), self.environment | {"API_PORT": str(port)}, self._rest.logs)
            for port in self.ports
        ]

    def start(self) -> None:
        self._rest.temporal.start()
        for server in self.servers:
            server.launch()
        for place in range(len(self.servers)):
            self.wait(place)

    def stop(self) -> None:
        for server in self.servers:
            server.stop()
        self._rest.stop()

    def wait(self, place: int) -> None:
        """Wait until the process is ready."""
        process = self.servers[place].process
        assert process is not None
        process.wait_until(serves(self.ports[place], request_bytes("GET", "/readyz")), timeout_s=START_TIMEOUT_S)
