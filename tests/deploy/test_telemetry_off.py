"""Without an endpoint no module of OpenTelemetry's SDK is loaded."""

import json
import os
import subprocess
import sys

import pytest

from deploy.local.settings import CHECKOUT

LOADED = """
import json, sys
from workflows.telemetry.tracing import current_span, plugins, start_tracing
import {module}

start_tracing("test")
assert plugins() == [] and current_span() == {{}}
print(json.dumps(sorted(name for name in sys.modules if name.startswith("opentelemetry"))))
"""


def loaded(module: str) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    ran = subprocess.run(
        [sys.executable, "-c", LOADED.format(module=module)],
        cwd=CHECKOUT,
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    names: list[str] = json.loads(ran.stdout)
    return names


def test_a_worker_loads_nothing_of_it() -> None:
    assert loaded("worker") == []


@pytest.mark.parametrize("heavy", ["opentelemetry.sdk", "opentelemetry.exporter"])
def test_the_api_loads_what_fastapi_imports_and_no_more(heavy: str) -> None:
    assert [name for name in loaded("api.app") if name.startswith(heavy)] == []
