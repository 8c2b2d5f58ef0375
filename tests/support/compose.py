"""Parse docker-compose.yml and the image's Dockerfile in the way that Docker does."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from deploy.local.settings import CHECKOUT

Json = dict[str, Any]

COMPOSE: Final = CHECKOUT / "docker-compose.yml"
DOCKERFILE: Final = CHECKOUT / "deploy" / "docker" / "Dockerfile"
_VARIABLE: Final = re.compile(r"\$\{(?P<name>\w+)(?::(?P<form>[-+?])(?P<word>(?:[^${}]|\$\{[^{}]*\})*))?\}")
"""A variable reference in Compose syntax. Its default may contain one more variable."""


class RefusedError(Exception):
    """Compose would not start: a required variable is missing."""


def services(variables: Mapping[str, str]) -> dict[str, Json]:
    """Return the services by name; `environment` contains the variables that the containers get."""
    document = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))
    found: dict[str, Json] = _filled(document["services"], variables)
    for service in found.values():
        given = service.get("environment", {})
        passed = {name: variables.get(name) if value is None else value for name, value in given.items()}
        service["environment"] = {name: value for name, value in passed.items() if value is not None}
    return found


def ours(variables: Mapping[str, str]) -> dict[str, Json]:
    """Return the services that run the project's image."""
    found = services(variables)
    images = {each["image"] for each in found.values() if "build" in each}
    return {name: each for name, each in found.items() if each["image"] in images}


def required() -> set[str]:
    """Return the names of the variables that Compose requires."""
    text = COMPOSE.read_text(encoding="utf-8")
    return {found["name"] for found in _VARIABLE.finditer(text) if found["form"] == "?"}


def image_environment() -> dict[str, str]:
    """Return the ENV variables of the Dockerfile's last stage."""
    last = DOCKERFILE.read_text(encoding="utf-8").rpartition("\nFROM ")[2].replace("\\\n", " ")
    lines = [line.removeprefix("ENV ") for line in last.splitlines() if line.startswith("ENV ")]
    return dict(pair.split("=", 1) for line in lines for pair in line.split())


def copy_image(to: Path) -> None:
    """Copy the files of the Dockerfile's COPY instructions into `to`; apply the ignore file."""
    lines = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    never = shutil.ignore_patterns(*(line.removeprefix("**/") for line in lines if line.startswith("**/")))
    kept = [line.removeprefix("!") for line in lines if line.startswith("!")]
    for source in (found for pattern in kept for found in CHECKOUT.glob(pattern)):
        target = to / source.relative_to(CHECKOUT)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=never)
        else:
            shutil.copy(source, target)


def _filled(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _VARIABLE.sub(lambda found: _one(found, variables), value)
    if isinstance(value, list):
        return [_filled(each, variables) for each in value]
    if isinstance(value, dict):
        return {key: _filled(each, variables) for key, each in value.items()}
    return value


def _one(found: re.Match[str], variables: Mapping[str, str]) -> str:
    value = variables.get(found["name"], "")
    match found["form"]:
        case "?" if not value:
            raise RefusedError(found["name"])
        case "-":
            return value or str(_filled(found["word"], variables))
        case "+":
            return str(_filled(found["word"], variables)) if value else ""
        case _:
            return value
