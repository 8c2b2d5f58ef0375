"""The commands of docs/walkthrough.md work as printed against a running stack, and the README links to them."""

import re
import subprocess
from pathlib import Path

import pytest

from deploy.local.plan import PUBLISHED
from deploy.local.private_files import env_file
from deploy.local.settings import CHECKOUT
from tests.support.deployment import Deployment

pytestmark = pytest.mark.timeout(600)  # the first test starts everything

WALKTHROUGH = CHECKOUT / "docs" / "walkthrough.md"
RUN = re.compile(r"<!-- run -->\s*```bash\n(.*?)```", re.DOTALL)
"""A block of commands for the reader's shell. A block uses the variables of the earlier ones."""


def commands() -> str:
    return "\n".join(RUN.findall(WALKTHROUGH.read_text(encoding="utf-8")))


def test_the_readme_links_to_the_walkthrough_by_curl() -> None:
    assert "docs/walkthrough.md" in (CHECKOUT / "README.md").read_text(encoding="utf-8")
    assert "curl" in commands()


def test_the_readme_is_short() -> None:
    assert len((CHECKOUT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120


def test_the_commands_of_the_walkthrough_work_as_printed(deployment: Deployment, tmp_path: Path) -> None:
    (tmp_path / ".local").mkdir()
    published = {name: deployment.environment.get(name, "") for name in PUBLISHED}
    (tmp_path / ".local" / "stack.env").write_text(env_file(published))

    ran = subprocess.run(
        ["/bin/bash", "-euo", "pipefail", "-c", commands()],
        cwd=tmp_path,
        env={name: deployment.environment[name] for name in ("PATH", "HOME")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )

    assert ran.returncode == 0, ran.stderr
    assert "error_code" not in ran.stdout
    lines = ran.stdout.splitlines()
    (points,) = (line for line in lines if line.startswith("Points: "))
    assert float(points.split()[1]) >= 2, "the choice and the number are right"
    assert any(line.startswith("- ") for line in lines), "no recommendation is shown"
    assert len(lines) < 20, "the walk ends in a short result"
