"""The files that deploy the product name what exists; `make check-deploy` asks the tools of each field."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from deploy.local.install_weaviate import RELEASE
from deploy.local.postgres import SETTINGS as POSTGRES_SETTINGS
from deploy.local.settings import CHECKOUT
from deploy.local.temporal import DYNAMIC_CONFIG
from tests import compose
from worker import WorkerSettings
from workflows.policies import Queue

OF_ONE_HOST = "history.timerProcessorMaxTimeShift"
VARIABLES = dict.fromkeys(compose.required(), "a-value")
ELSEWHERE = {
    "PATH",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONUNBUFFERED",
    "HF_HUB_OFFLINE",
    "PORT",
    "OTEL_EXPORTER_OTLP_ENDPOINT",
}
"""What Python, the libraries and the platforms read."""


@dataclass(frozen=True)
class Deployed:
    """One process of our image: `where` says which file starts it, `variables` are the names it is given."""

    where: str
    command: tuple[str, ...]
    variables: frozenset[str]

    @property
    def queues(self) -> set[str]:
        return set(self.command[-1].split(",")) if "worker.py" in self.command else set()


def in_compose() -> Iterator[Deployed]:
    for name, service in compose.ours(VARIABLES | {"OPENAI_API_KEY": "a-key"}).items():
        yield Deployed(f"compose {name}", tuple(service["command"]), frozenset(service["environment"]))


def in_image() -> Iterator[Deployed]:
    text = compose.DOCKERFILE.read_text(encoding="utf-8")
    command = yaml.safe_load(text.rpartition("\nCMD ")[2])
    yield Deployed("image", tuple(command), frozenset(compose.image_environment()))


DEPLOYED = [*in_image(), *in_compose()]
EVERY = pytest.mark.parametrize("process", DEPLOYED, ids=lambda each: each.where)


@EVERY
def test_every_command_exists(process: Deployed) -> None:
    words = shlex.split(process.command[2]) if process.command[:2] == ("sh", "-c") else list(process.command)
    commands = " ".join(words).split(" && ")

    assert [command for command in commands if not exists(command.split())] == []


def exists(words: list[str]) -> bool:
    match words:
        case ["python", "worker.py", "--queues", queues]:
            return {*queues.split(",")} <= {*Queue}
        case ["python", "-m", module, *_]:
            found = find_spec(f"{module}.__main__") if is_package(module) else find_spec(module)
            return bool(found and found.origin and "__main__" in Path(found.origin).read_text(encoding="utf-8"))
        case _:
            return False


def is_package(module: str) -> bool:
    found = find_spec(module)
    return bool(found and found.submodule_search_locations)


@EVERY
def test_every_variable_is_a_setting(process: Deployed) -> None:
    settings = (CHECKOUT / "docs" / "settings.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", settings))

    assert process.variables - documented - ELSEWHERE == set()


@pytest.mark.parametrize("deployed", [list(in_compose())], ids=["compose"])
def test_every_queue_is_served(deployed: list[Deployed]) -> None:
    assert {queue for process in deployed for queue in process.queues} == {*Queue}


@pytest.mark.parametrize("missing", sorted(compose.required()))
def test_compose_starts_nothing_without_a_secret(missing: str) -> None:
    with pytest.raises(compose.RefusedError, match=missing):
        compose.services(VARIABLES | {missing: ""})


def test_the_example_names_what_compose_needs() -> None:
    example = (CHECKOUT / ".env.example").read_text(encoding="utf-8")

    assert [name for name in compose.required() if f"\n{name}=\n" not in example] == []


def test_only_the_migrations_know_the_owner_of_the_schema() -> None:
    knowing = {
        name for name, each in compose.ours(VARIABLES).items() if "//microcred:" in each["environment"]["DATABASE_URL"]
    }

    assert knowing == {"migrate"}


def test_the_model_key_is_where_essays_are_bought_and_nowhere_else() -> None:
    environments = {
        name: each["environment"] for name, each in compose.ours(VARIABLES | {"OPENAI_API_KEY": "a-key"}).items()
    }

    assert [name for name, each in environments.items() if "OPENAI_API_KEY" in each] == ["worker-llm"]
    assert environments["worker-assessments"]["ESSAY_GRADER"] == "openai"


def test_no_process_is_killed_while_it_finishes_what_it_holds() -> None:
    grace = {name: each["stop_grace_period"] for name, each in compose.ours(VARIABLES).items()}

    assert all(int(each.removesuffix("s")) > WorkerSettings().grace_s for each in grace.values()), grace


def test_published_ports_are_on_loopback() -> None:
    ports = [port for each in compose.services(VARIABLES).values() for port in each.get("ports", [])]

    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_mounted_files_are_there() -> None:
    started = [each for each in compose.services(VARIABLES).values() if "profiles" not in each]
    mounts = [mount for each in started for mount in each.get("volumes", [])]
    files = {mount.split(":")[0] for mount in mounts if mount.startswith("./")}

    assert [file for file in sorted(files) if not (CHECKOUT / file).exists()] == []


def test_temporal_runs_with_the_settings_that_the_local_server_has() -> None:
    text = (CHECKOUT / "deploy" / "temporal" / "dynamic-config.yaml").read_text(encoding="utf-8")
    configured = {name: str(values[0]["value"]).lower() for name, values in yaml.safe_load(text).items()}

    assert configured == {name: value for name, value in DYNAMIC_CONFIG.items() if name != OF_ONE_HOST}


def test_the_database_logs_no_rows() -> None:
    command = compose.services(VARIABLES)["postgres"]["command"]

    assert {f"-c{name}={POSTGRES_SETTINGS[name]}" for name in POSTGRES_SETTINGS if "error" in name} <= {*command}


def test_the_stores_are_those_of_the_tests() -> None:
    assert compose.services(VARIABLES)["weaviate"]["image"].endswith(f":{RELEASE.removeprefix('v')}")


def test_the_image_holds_what_its_commands_import() -> None:
    ignored = (compose.DOCKERFILE.parent / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    packages = {path.parent.name for path in CHECKOUT.glob("*/__init__.py")} - {"deploy"}

    assert [name for name in packages | {"worker.py"} if f"\n!{name}\n" not in ignored] == []
