"""Settings of the local stack: its ports, and the servers that replace its own."""

import os
import shutil
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

CHECKOUT = Path(__file__).resolve().parents[2]
LOCAL = CHECKOUT / ".local"
"""The directory of the stack's data, logs, generated secrets and environment file."""
PROGRAMS = CHECKOUT / ".local" / "bin"
"""The directory of programs that `make weaviate` installs."""
INSTALLED = frozenset({"bin", "check-venv", "client-venv", "lock-venv", "vendor"})
"""The directories in `.local` that make targets install. They contain no data of the stack."""
WEAVIATE_SERVER = "weaviate-server"


def weaviate_server() -> Path | None:
    """Find Weaviate's program in `.local/bin`, in Go's folder, or on PATH."""
    go = os.environ.get("GOBIN") or Path(os.environ.get("GOPATH") or Path.home() / "go") / "bin"
    found = shutil.which(WEAVIATE_SERVER, path=os.pathsep.join([str(PROGRAMS), str(go), os.environ.get("PATH", "")]))
    return Path(found) if found else None


class StackSettings(BaseSettings):
    """Environment variables with the fields' names in upper case. An empty variable counts as not set.

    `database_url`, `temporal_address` or `weaviate_url` replaces the embedded server. The programs of the stack inherit
    the whole environment, so variables that only they read (OPENAI_API_KEY, WEAVIATE_API_KEY, …) are not repeated here.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    api_port: int = Field(default=8000, ge=1, le=65535)
    postgres_port: int = Field(default=54320, ge=1, le=65535)
    temporal_port: int = Field(default=7233, ge=1, le=65535)
    temporal_ui_port: int = Field(default=8233, ge=1, le=65535)
    weaviate_port: int = Field(default=8090, ge=1, le=65535)
    weaviate_grpc_port: int = Field(default=50051, ge=1, le=65535)
    database_url: SecretStr | None = None
    temporal_address: str | None = None
    weaviate_url: str | None = None
    weaviate_program: Path | None = Field(default_factory=weaviate_server)
    """The server to start. Without one the stack runs without Weaviate, and pgvector searches."""
    temporal_namespace: str = "default"
    temporal_ui_url: str = ""
    """The Web UI of the Temporal server that `temporal_address` names."""
    demo: bool = False
    """Whether `make up` adds the demo's cohort of learners."""

    @property
    def ports(self) -> dict[str, int]:
        """The ports of the stack's own servers, by the variable that sets each."""
        ports = {"API_PORT": self.api_port}
        if self.database_url is None:
            ports["POSTGRES_PORT"] = self.postgres_port
        if self.temporal_address is None:
            ports |= {"TEMPORAL_PORT": self.temporal_port, "TEMPORAL_UI_PORT": self.temporal_ui_port}
        if self.weaviate_url is None and self.weaviate_program:
            ports |= {"WEAVIATE_PORT": self.weaviate_port, "WEAVIATE_GRPC_PORT": self.weaviate_grpc_port}
        return ports
