"""A Weaviate server on this machine. `make weaviate` installs the program; without it pgvector searches."""

import os
from collections.abc import Callable
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

from deploy.local.ports import HOST, free_port
from deploy.local.process import Process, Program, ProgramFailedError, Startable, never

USER: Final = "microcred"
START_TIMEOUT_S: Final = 120.0
STARTS: Final = 3
STOP_GRACE_S: Final = 20.0
TEST_KEY: Final = "a-key-for-tests"


class WeaviateServer(Startable):
    """A Weaviate server with one node, its data below `data_dir`, on `ports` (REST, gRPC). Callers need `api_key`.

    REST listens on 127.0.0.1. The gRPC port and the data port always listen on all addresses, so the server needs a key
    even on a laptop.
    """

    name: Final = "weaviate"

    def __init__(
        self, program: Path, data_dir: Path, ports: tuple[int, int], *, log: Path, api_key: str = TEST_KEY
    ) -> None:
        self._program = program
        self.data_dir = data_dir.resolve()
        self._port, self._grpc_port = ports
        self._log = log
        self._api_key = api_key
        self.process: Process | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._port}"

    @property
    def detail(self) -> str:
        return f"{self.url}, gRPC {self._grpc_port}"

    @property
    def client_environment(self) -> dict[str, str]:
        """The settings of a client of this server."""
        return {
            "WEAVIATE_URL": self.url,
            "WEAVIATE_GRPC_PORT": str(self._grpc_port),
            "WEAVIATE_API_KEY": self._api_key,
        }

    def start(self, stopping: Callable[[], bool] = never) -> None:
        """Start the server and wait until it answers queries. If it ends, try again with other cluster ports.

        Raises:
            ProgramFailedError: the server did not start. Its log has the reason.
            StopRequestedError: `stopping()` was true before the start was complete.
        """
        for _ in range(STARTS - 1):
            try:
                self._start(stopping)
            except ProgramFailedError:  # another program may have taken a port between its choice and the start
                if self.process is None or self.process.exit_code is None:
                    raise
                self.stop()
            else:
                return
        self._start(stopping)

    def _start(self, stopping: Callable[[], bool]) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        process = self.process = Process(
            Program(
                name=self.name,
                command=(str(self._program), "--host", HOST, "--port", str(self._port), "--scheme", "http"),
                log=self._log,
                env=self._environment(),
                cwd=self.data_dir,
            )
        )
        process.wait_until(self._is_ready, timeout_s=START_TIMEOUT_S, stopping=stopping)

    def stop(self, hurry: Callable[[], bool] = never) -> None:
        if self.process is not None:
            self.process.stop(grace_s=STOP_GRACE_S, hurry=hurry)
            self.process = None

    def _environment(self) -> dict[str, str]:
        """Return only this server's settings, because the environment may hold those of another Weaviate."""
        inherited = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "TMPDIR"}}
        return {
            **inherited,
            "PERSISTENCE_DATA_PATH": str(self.data_dir),
            "GRPC_PORT": str(self._grpc_port),
            "AUTHENTICATION_ANONYMOUS_ACCESS_ENABLED": "false",
            "AUTHENTICATION_APIKEY_ENABLED": "true",
            "AUTHENTICATION_APIKEY_ALLOWED_KEYS": self._api_key,
            "AUTHENTICATION_APIKEY_USERS": USER,
            "AUTOSCHEMA_ENABLED": "false",
            "DEFAULT_VECTORIZER_MODULE": "none",
            "DISABLE_TELEMETRY": "true",
            "GO_PROFILING_DISABLE": "true",
            "LOG_LEVEL": "warning",
            **self._cluster(),
        }

    def _cluster(self) -> dict[str, str]:
        """Return the settings of a cluster with one node, on free ports, which elects itself leader at once."""
        return {
            "CLUSTER_HOSTNAME": "node1",
            "CLUSTER_ADVERTISE_ADDR": HOST,
            "CLUSTER_BIND_ADDR": HOST,
            "CLUSTER_GOSSIP_BIND_PORT": str(free_port()),
            "CLUSTER_DATA_BIND_PORT": str(free_port()),
            "CLUSTER_BASIC_AUTH_USERNAME": USER,
            "CLUSTER_BASIC_AUTH_PASSWORD": self._api_key,
            "RAFT_PORT": str(free_port()),
            "RAFT_INTERNAL_RPC_PORT": str(free_port()),
            "RAFT_BOOTSTRAP_EXPECT": "1",
            "RAFT_TIMEOUTS_MULTIPLIER": "1",
        }

    def _is_ready(self) -> bool:
        connection = HTTPConnection(HOST, self._port, timeout=2.0)
        try:
            connection.request("GET", "/v1/.well-known/ready")
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()
