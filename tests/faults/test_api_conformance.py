"""The API keeps to its own document, whatever it is sent: generated requests of every kind, by each role."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.plan import ACCOUNTS
from tests.databases import Databases
from tests.deployment import Deployment

CASES = {"faults": 12, "load": 250}
"""Requests an operation and phase at most: some 20,000 in `make test-load`."""


@pytest.fixture(scope="module")
def served(template: tuple[Databases, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    databases, name = template
    directory = tmp_path_factory.mktemp("conformance")
    with databases.new("conformance", name) as url, Deployment(directory, url) as deployment:
        yield deployment


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("size", [pytest.param(name, marks=getattr(pytest.mark, name)) for name in CASES])
@pytest.mark.parametrize("role", ACCOUNTS)
def test_answers_are_as_documented(role: str, size: str, served: Deployment, tmp_path: Path) -> None:
    command = [
        str(Path(sysconfig.get_path("scripts")) / "schemathesis"),
        "run",
        f"{served.api_url}/openapi.json",
        f"--header=Authorization:{served.log_in(ACCOUNTS[role]).headers['Authorization']}",
        f"--max-examples={CASES[size]}",
        "--checks=all",
        # what a role, a state or an idempotency key forbids is refused, and a schema cannot say so
        "--exclude-checks=positive_data_acceptance",
        "--continue-on-failure",
        "--no-color",
        "--warnings=off",
    ]
    done = subprocess.run(command, cwd=tmp_path, env=dict(os.environ), capture_output=True, text=True, check=False)
    sys.stdout.write(done.stdout)
    assert done.returncode == 0
