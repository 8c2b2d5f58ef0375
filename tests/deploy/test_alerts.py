"""Prometheus's own look at its configuration: by promtool, which `make promtool` obtains."""

import os
import shutil
import subprocess

import pytest

from deploy.local.settings import CHECKOUT, PROGRAMS

OBSERVABILITY = CHECKOUT / "deploy" / "observability"


@pytest.mark.parametrize(
    "command",
    [("check", "config", "prometheus.yml"), ("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")],
    ids=" ".join,
)
def test_promtool_takes(command: tuple[str, ...]) -> None:
    promtool = shutil.which("promtool", path=os.pathsep.join([os.environ.get("PATH", ""), str(PROGRAMS)]))
    if promtool is None:
        assert "REQUIRE_PROMTOOL" not in os.environ
        pytest.skip("promtool is not there: make promtool")

    ran = subprocess.run(
        [promtool, *command], cwd=OBSERVABILITY, check=False, capture_output=True, text=True, timeout=60
    )

    assert ran.returncode == 0, ran.stdout + ran.stderr
