"""All deployment files give each process the same settings, which are those that docs/settings.md describes."""

import re
from collections.abc import Callable, Mapping
from typing import Final

import pytest
import yaml

from deploy.local.settings import CHECKOUT
from persistence.database import DatabaseSettings
from tests.deploy.test_settings_docs import variables
from tests.support import compose
from tests.support.deployed import BASE, DEPLOY, WITH_MODEL, pods, render
from workflows.engine.worker_settings import EssaySettings, WorkerSettings

Settings = dict[str, dict[str, str]]
"""The values of the variables by service."""

TUNED: Final = {name for each in (DatabaseSettings, EssaySettings, WorkerSettings) for name in variables(each)} - {
    "DATABASE_URL",
    "OPENAI_API_KEY",
    "WORKER_METRICS_ADDRESS",
    "WORKER_BUILD_ID",
    "WORKER_DEPLOYMENT_NAME",
}
"""The settings that decide on costs and throughput: pools, pollers, slots, caches, rates, samples, budgets, graces."""
GRACE_S: Final = {"worker-llm": WorkerSettings().llm_grace_s}
"""The services whose processes need longer than the others to stop."""
TERRAFORM: Final = (DEPLOY / "aws" / "terraform" / "services.tf").read_text(encoding="utf-8")


def in_compose() -> Settings:
    return {name: service["environment"] for name, service in compose.ours(WITH_MODEL).items()}


def in_kubernetes() -> Settings:
    base = yaml.safe_load((BASE / "kustomization.yaml").read_text(encoding="utf-8"))
    shared = dict(each.split("=", 1) for each in base["configMapGenerator"][0]["literals"])
    return {name: shared | _values(pod["containers"][0].get("env", []), "name") for name, pod in pods()}


def in_render() -> Settings:
    document = render()
    shared = _values([each for group in document["envVarGroups"] for each in group["envVars"]], "key")
    return {each["name"]: shared | _values(each.get("envVars", []), "key") for each in document["services"]}


def in_aws() -> Settings:
    shared = _assignments(TERRAFORM.partition("services = {")[0])
    blocks = re.findall(r"^    ([\w-]+) = \{\n(.*?)^    \}$", TERRAFORM, re.MULTILINE | re.DOTALL)
    return {name: shared | _assignments(block) for name, block in blocks}


def _assignments(block: str) -> dict[str, str]:
    return dict(re.findall(r'\b([A-Z][A-Z0-9_]+) *= "(.*)"', block))


def _values(given: list[Mapping[str, object]], name: str) -> dict[str, str]:
    return {str(each[name]): str(each["value"]) for each in given if "value" in each}


def tuned(settings: Settings) -> Settings:
    found = {name: {key: given[key] for key in sorted(TUNED & given.keys())} for name, given in settings.items()}
    return {name: values for name, values in found.items() if values}


@pytest.mark.parametrize("read", [in_kubernetes, in_render, in_aws])
def test_a_deployment_has_the_settings_of_the_compose_file(read: Callable[[], Settings]) -> None:
    assert tuned(read()) == tuned(in_compose()) != {}


def test_the_deployed_numbers_are_the_documented_ones() -> None:
    document = (CHECKOUT / "docs" / "settings.md").read_text(encoding="utf-8")

    deployed = {f"`{name}={value}`" for values in tuned(in_compose()).values() for name, value in values.items()}

    assert [each for each in deployed if each not in document and "=openai" not in each] == []


def test_aws_stops_no_process_while_it_finishes_its_activities() -> None:
    ((exception, longer, usual),) = re.findall(r'stopTimeout += each\.key == "([\w-]+)" \? (\d+) : (\d+)', TERRAFORM)

    assert GRACE_S.keys() == {exception}
    assert int(longer) > GRACE_S[exception]
    assert int(usual) > WorkerSettings().grace_s
