"""Collect every process of the project's image that one of the deployment files starts."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from deploy.local.settings import CHECKOUT
from tests.support import compose

Json = dict[str, Any]

DEPLOY: Final = CHECKOUT / "deploy"
BASE: Final = DEPLOY / "kubernetes" / "base"
WITH_MODEL: Final = dict.fromkeys(compose.required(), "a-value") | {"OPENAI_API_KEY": "a-key"}


@dataclass(frozen=True)
class Deployed:
    """A process; `where` names the file and the service, `variables` are the names of its environment variables."""

    where: str
    command: tuple[str, ...]
    variables: frozenset[str]

    @property
    def kind(self) -> str:
        return self.where.partition(" ")[0]

    @property
    def queues(self) -> set[str]:
        return set(self.command[-1].split(",")) if "worker.py" in self.command else set()


def everything() -> list[Deployed]:
    return [*in_image(), *in_compose(), *in_kubernetes(), *in_railway(), *in_render(), *in_aws()]


def in_image() -> Iterator[Deployed]:
    command = yaml.safe_load(compose.DOCKERFILE.read_text(encoding="utf-8").rpartition("\nCMD ")[2])
    yield Deployed("image", tuple(command), frozenset(compose.image_environment()))


def in_compose() -> Iterator[Deployed]:
    for name, service in compose.ours(WITH_MODEL).items():
        yield Deployed(f"compose {name}", tuple(service["command"]), frozenset(service["environment"]))


def in_kubernetes() -> Iterator[Deployed]:
    """Return the processes of the Kubernetes base. Names from a Secret come from the comment in the base."""
    text = (BASE / "kustomization.yaml").read_text(encoding="utf-8")
    held = {"microcred": {each.split("=")[0] for each in yaml.safe_load(text)["configMapGenerator"][0]["literals"]}}
    for name, keys in re.findall(r"^#   (microcred-\w+) +(.*)$", text, re.MULTILINE):
        held[name] = set(re.findall(r"[A-Z][A-Z_]+", keys)) - {"API"}
    for name, pod in pods():
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            sources = [next(iter(each.values()))["name"] for each in container.get("envFrom", [])]
            variables = {each["name"] for each in container.get("env", [])}.union(*(held[each] for each in sources))
            where = f"kubernetes {name} {container['name']}"
            yield Deployed(where, tuple(container["command"]), frozenset(variables))


def pods() -> Iterator[tuple[str, Json]]:
    """Return the base's pod specifications by the name of their workload."""
    for document in kubernetes("api.yaml", "workers.yaml", "release.yaml"):
        if document["kind"] in {"Deployment", "Job"}:
            yield document["metadata"]["name"], document["spec"]["template"]["spec"]


def kubernetes(*files: str) -> list[Json]:
    texts = [(BASE / file).read_text(encoding="utf-8") for file in files]
    return [document for text in texts for document in yaml.safe_load_all(text)]


def in_railway() -> Iterator[Deployed]:
    """Return the processes of Railway's files, which contain no variables."""
    for file in sorted((DEPLOY / "railway").glob("*.json")):
        command = json.loads(file.read_text(encoding="utf-8"))["deploy"]["startCommand"]
        yield Deployed(f"railway {file.stem}", tuple(shlex.split(command)), frozenset())


def render() -> Json:
    document: Json = yaml.safe_load((DEPLOY / "render" / "render.yaml").read_text(encoding="utf-8"))
    return document


def in_render() -> Iterator[Deployed]:
    groups = {group["name"]: {each["key"] for each in group["envVars"]} for group in render()["envVarGroups"]}
    for service in render()["services"]:
        if service.get("dockerfilePath") == "./deploy/docker/Dockerfile":
            given = service["envVars"]
            variables = {each["key"] for each in given if "key" in each}
            variables |= {key for each in given if "fromGroup" in each for key in groups[each["fromGroup"]]}
            command = tuple(shlex.split(service["dockerCommand"]))
            yield Deployed(f"render {service['name']}", command, frozenset(variables))


def in_aws() -> Iterator[Deployed]:
    """Return the processes on AWS. All services share one set of names, because HCL functions merge the variables."""
    text = (DEPLOY / "aws" / "terraform" / "services.tf").read_text(encoding="utf-8")
    variables = frozenset(re.findall(r"\b([A-Z][A-Z0-9_]+) *= ", text))
    for command in re.findall(r"^ +command += (\[.*\])$", text, re.MULTILINE):
        yield Deployed(f"aws {command}", tuple(json.loads(command)), variables)
