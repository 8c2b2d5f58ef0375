"""The GitHub workflows: pinned tools, few permissions, and secrets only where they are used."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from deploy.local.settings import CHECKOUT

Json = dict[str, Any]

FILES: Final = sorted((CHECKOUT / ".github" / "workflows").glob("*.yml"))
EVERY = pytest.mark.parametrize("file", FILES, ids=lambda each: each.name)
INSTALLS: Final = re.compile(r"\b(pip|pipx|npm|npx|make install|go install|apt-get)\b")
VERSIONED: Final = re.compile(r"(?:npm install --global |pipx run )(\S+)")


def workflow(file: Path) -> Json:
    document: Json = yaml.safe_load(file.read_text(encoding="utf-8"))
    return document


def steps(file: Path) -> Iterator[Json]:
    for job in workflow(file)["jobs"].values():
        yield from job.get("steps", [])


@EVERY
def test_actions_are_pinned_by_commit_with_their_version_in_a_comment(file: Path) -> None:
    used = re.findall(r"uses: ([^.\s].*)", file.read_text(encoding="utf-8"))

    assert [name for name in used if not re.fullmatch(r"\S+@[0-9a-f]{40} # v[0-9.]+", name)] == []


@EVERY
def test_tools_from_registries_are_pinned_by_version(file: Path) -> None:
    commands = [step["run"] for step in steps(file) if "run" in step]
    tools = [tool for command in commands for tool in VERSIONED.findall(command)]

    assert [tool for tool in tools if not re.search(r"(==|.@)\d+\.\d+\.\d+$", tool)] == []


@EVERY
def test_a_workflow_may_only_read_the_repository_unless_a_job_says_more(file: Path) -> None:
    more = {name: job["permissions"] for name, job in workflow(file)["jobs"].items() if "permissions" in job}

    assert workflow(file)["permissions"] == {"contents": "read"}
    assert more in ({}, {"image": {"contents": "read", "packages": "write"}})


@EVERY
def test_no_secret_is_in_the_environment_of_a_whole_workflow_or_job(file: Path) -> None:
    document = workflow(file)
    environments = [document.get("env", {}), *(job.get("env", {}) for job in document["jobs"].values())]

    assert "secrets." not in str(environments)


@EVERY
def test_a_step_that_installs_something_has_no_secret(file: Path) -> None:
    installing = [step for step in steps(file) if INSTALLS.search(step.get("run", ""))]

    assert [step for step in installing if "secrets." in str(step)] == []


@EVERY
def test_a_checkout_leaves_no_token_behind(file: Path) -> None:
    checkouts = [step for step in steps(file) if step.get("uses", "").startswith("actions/checkout@")]

    assert [step for step in checkouts if step["with"]["persist-credentials"] is not False] == []
