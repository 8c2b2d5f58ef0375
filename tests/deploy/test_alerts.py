"""promtool accepts the files of Prometheus and Grafana. `make promtool` installs it."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from deploy.local.settings import CHECKOUT, PROGRAMS
from domain.sweeps import Concern

OBSERVABILITY = CHECKOUT / "deploy" / "observability"


def promtool(*command: str) -> None:
    """Run promtool, and fail with its output if it refuses the files."""
    program = shutil.which("promtool", path=os.pathsep.join([os.environ.get("PATH", ""), str(PROGRAMS)]))
    if program is None:
        assert "REQUIRE_PROMTOOL" not in os.environ
        pytest.skip("promtool is not there: make promtool")
    ran = subprocess.run(
        [program, *command], cwd=OBSERVABILITY, check=False, capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    "command",
    [("check", "config", "prometheus.yml"), ("check", "rules", "alerts.yml"), ("test", "rules", "alerts_test.yml")],
    ids=" ".join,
)
def test_promtool_accepts(command: tuple[str, ...]) -> None:
    promtool(*command)


def test_the_alert_on_missing_sweeps_knows_the_concerns_that_are_swept_less_often() -> None:
    groups = yaml.safe_load((OBSERVABILITY / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    (expression,) = (rule["expr"] for group in groups for rule in group["rules"] if rule["alert"] == "SweepMissing")

    listed = set(expression.partition('concern!~"')[2].partition('"')[0].split("|"))
    assert listed == {concern.value for concern in Concern if concern.is_rare}


@pytest.mark.parametrize("board", sorted(OBSERVABILITY.rglob("dashboards/*.json")), ids=lambda path: path.stem)
def test_promtool_accepts_the_queries_of_a_dashboard(board: Path, tmp_path: Path) -> None:
    panels = json.loads(board.read_text(encoding="utf-8"))["panels"]
    asked = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    rules = [{"record": f"drawn:{number}", "expr": expression} for number, expression in enumerate(asked)]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "drawn", "rules": rules}]}), encoding="utf-8")

    promtool("check", "rules", str(file))
