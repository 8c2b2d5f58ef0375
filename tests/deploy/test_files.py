"""The deployment files name commands, settings and queues that exist. `make check-deploy` runs the platforms' tools."""

import json
import re
import shlex
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from deploy.local.install_weaviate import RELEASE
from deploy.local.postgres import SETTINGS as POSTGRES_SETTINGS
from deploy.local.settings import CHECKOUT
from deploy.local.temporal import DYNAMIC_CONFIG
from tests.support import compose
from tests.support.deployed import DEPLOY, WITH_MODEL, Deployed, everything, kubernetes, pods, render
from workflows.engine.worker_settings import WorkerSettings
from workflows.policies import Queue

OF_ONE_HOST = {
    "history.timerProcessorMaxTimeShift",
    *(f"history.{queue}ProcessorUpdateAckInterval" for queue in ("transfer", "timer", "visibility")),
    "matching.wv.VersionDrainageStatusRefreshInterval",
    "matching.wv.VersionDrainageStatusVisibilityGracePeriod",
}
ELSEWHERE = {"PATH", "PORT", "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "HF_HUB_OFFLINE", "TEMPORAL_API_KEY"}
"""Variables that Python, the libraries and the platforms read."""

VARIABLES = WITH_MODEL | {"OPENAI_API_KEY": ""}
DEPLOYED = everything()
KINDS = sorted({each.kind for each in DEPLOYED} - {"image"})
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


@pytest.mark.parametrize("kind", KINDS)
def test_every_queue_is_served_once_and_the_api_is_there(kind: str) -> None:
    here = [each for each in DEPLOYED if each.kind == kind]

    assert sorted(queue for each in here for queue in each.queues) == sorted(Queue)
    assert ("python", "-m", "api") in {each.command for each in here}


@pytest.mark.parametrize("kind", KINDS)
def test_the_schema_comes_before_the_content_and_its_vectors(kind: str) -> None:
    steps = " ".join(word for each in DEPLOYED if each.kind == kind for word in each.command)
    places = [steps.index(step) for step in ("deploy.migrate", "persistence.load_content", "deploy.local.embed")]

    assert places == sorted(places)


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


@pytest.mark.parametrize(
    ("provider", "holding"), [("", ["worker-llm"]), ("openai", ["worker-llm", "worker-embeddings"])]
)
def test_the_model_key_is_where_the_model_is_called_and_nowhere_else(provider: str, holding: list[str]) -> None:
    started = compose.ours(WITH_MODEL | {"EMBEDDING_PROVIDER": provider})
    environments = {name: each["environment"] for name, each in started.items()}

    assert [name for name, each in environments.items() if each.get("OPENAI_API_KEY")] == holding
    assert environments["worker-assessments"]["ESSAY_GRADER"] == "openai"


def test_one_service_builds_the_image_and_the_others_wait_for_it() -> None:
    services = compose.ours(VARIABLES)
    builders = [name for name, each in services.items() if "build" in each]
    others = {name: each for name, each in services.items() if name not in builders}

    assert len(builders) == 1
    assert len(others) == 6
    assert {each["pull_policy"] for each in others.values()} == {"never"}
    assert [name for name, each in others.items() if builders[0] not in each["depends_on"]] == []


def test_no_process_is_killed_while_it_finishes_what_it_holds() -> None:
    grace = {name: each["stop_grace_period"] for name, each in compose.ours(VARIABLES).items()}

    assert all(int(each.removesuffix("s")) > WorkerSettings().grace_s for each in grace.values()), grace


def test_published_ports_are_on_loopback() -> None:
    ports = [port for each in compose.services(VARIABLES).values() for port in each.get("ports", [])]

    assert ports
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_mounted_files_are_there() -> None:
    mounts = [mount for each in compose.services(VARIABLES).values() for mount in each.get("volumes", [])]
    files = {mount.split(":")[0] for mount in mounts if mount.startswith("./")}

    assert [file for file in sorted(files) if not (CHECKOUT / file).exists()] == []


def test_temporal_runs_with_the_settings_that_the_local_server_has() -> None:
    text = (CHECKOUT / "deploy" / "temporal" / "dynamic-config.yaml").read_text(encoding="utf-8")
    configured = {name: str(values[0]["value"]).lower() for name, values in yaml.safe_load(text).items()}

    assert configured == {name: value for name, value in DYNAMIC_CONFIG.items() if name not in OF_ONE_HOST}


def test_the_database_logs_no_rows() -> None:
    command = compose.services(VARIABLES)["postgres"]["command"]

    assert {f"-c{name}={POSTGRES_SETTINGS[name]}" for name in POSTGRES_SETTINGS if "error" in name} <= {*command}


def test_the_stores_are_those_of_the_tests() -> None:
    assert compose.services(VARIABLES)["weaviate"]["image"].endswith(f":{RELEASE.removeprefix('v')}")


def test_the_image_holds_what_its_commands_import() -> None:
    ignored = (compose.DOCKERFILE.parent / "Dockerfile.dockerignore").read_text(encoding="utf-8")
    packages = {path.parent.name for path in CHECKOUT.glob("*/__init__.py")} - {"deploy"}

    assert [name for name in packages | {"worker.py"} if f"\n!{name}\n" not in ignored] == []


def test_no_pod_is_killed_while_it_finishes_what_it_holds() -> None:
    grace = {name: pod.get("terminationGracePeriodSeconds") for name, pod in pods() if name != "release"}

    assert all(seconds and seconds > WorkerSettings().grace_s for seconds in grace.values()), grace


def test_railway_lets_processes_finish_and_keeps_them_awake() -> None:
    files = sorted((DEPLOY / "railway").glob("*.json"))
    deploys = [json.loads(file.read_text(encoding="utf-8"))["deploy"] for file in files]

    assert all(each["drainingSeconds"] > WorkerSettings().grace_s for each in deploys)
    assert not any(each["sleepApplication"] for each in deploys)


def test_every_worker_is_scaled_by_its_own_queue() -> None:
    scaled = [each["spec"] for each in kubernetes("scaling.yaml") if each["kind"] == "ScaledObject"]
    triggers = {each["scaleTargetRef"]["name"]: each["triggers"][0]["metadata"]["taskQueue"] for each in scaled}

    assert triggers == {f"worker-{queue}": queue for queue in Queue}


def test_queues_with_workflows_are_scaled_by_workflows_too() -> None:
    scaled = [each["spec"]["triggers"][0] for each in kubernetes("scaling.yaml") if each["kind"] == "ScaledObject"]
    types = {each["metadata"]["taskQueue"]: each["metadata"]["queueTypes"].split(",") for each in scaled}

    assert {queue for queue, each in types.items() if "workflow" in each} == {Queue.ASSESSMENTS, Queue.WEBHOOKS}


def test_every_deployment_may_lose_one_pod_at_a_time() -> None:
    budgets = {each["metadata"]["name"] for each in kubernetes("disruption.yaml")}

    assert budgets == {name for name, _ in pods()} - {"release"}


def test_no_file_holds_a_secret() -> None:
    values = [
        each for service in render()["services"] for each in service.get("envVars", []) if secret(each.get("key", ""))
    ]

    assert values
    assert [each["key"] for each in values if "value" in each] == []
    assert [
        each["kind"] for each in kubernetes("api.yaml", "workers.yaml", "release.yaml") if each["kind"] == "Secret"
    ] == []


def secret(name: str) -> bool:
    return name.endswith(("_KEY", "_KEYS", "_SECRET", "_PASSWORD", "_PWD", "DATABASE_URL"))


@pytest.mark.parametrize("kind", ["resource", "data", "variable"])
def test_what_terraform_refers_to_is_declared(kind: str) -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in (DEPLOY / "aws" / "terraform").glob("*.tf"))
    patterns = {
        "resource": (r'^resource "(\w+)" "(\w+)"', r"(?<![\w.])(aws_\w+|random_\w+)\.(\w+)"),
        "data": (r'^data "(\w+)" "(\w+)"', r"\bdata\.(\w+)\.(\w+)"),
        "variable": (r'^(variable) "(\w+)"', r"\b(var)\.(\w+)"),
    }
    declared, referred = (re.findall(pattern, text, re.MULTILINE) for pattern in patterns[kind])

    assert {name for _, name in referred} - {name for _, name in declared} == set()
    assert declared


def test_with_temporal_cloud_every_process_and_scaler_has_the_key() -> None:
    component = DEPLOY / "kubernetes" / "components" / "temporal-cloud"
    options = yaml.safe_load((component / "kustomization.yaml").read_text(encoding="utf-8"))
    (authentication,) = (
        yaml.safe_load((component / each).read_text(encoding="utf-8")) for each in options["resources"]
    )
    patches = {each["target"]["kind"]: yaml.safe_load(each["patch"]) for each in options["patches"]}

    ((key,), (scaled,), (environment,)) = (authentication["spec"]["secretTargetRef"], *patches.values())
    assert list(patches) == ["ScaledObject", "Deployment"]
    assert scaled["value"]["name"] == authentication["metadata"]["name"]
    assert environment["value"]["secretRef"]["name"] == key["name"]
    triggers = [each["spec"]["triggers"] for each in kubernetes("scaling.yaml") if each["kind"] == "ScaledObject"]
    assert [len(each) for each in triggers] == [1] * len(Queue)
    deployed = [pod["containers"] for name, pod in pods() if name != "release"]
    assert all("envFrom" in containers[0] and len(containers) == 1 for containers in deployed)
