"""Run a benchmark as its own process and read what it printed and wrote."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Output:
    """The text that a benchmark printed, and the JSON report that it wrote."""

    printed: str
    report: dict[str, Any]

    def columns(self, first: str) -> list[str]:
        """Return the columns of the printed table whose first column has this name."""
        [header] = [line for line in self.printed.splitlines() if line.startswith(f"{first}  ")]
        return re.split(r" {2,}", header)


def run(
    module: str, report: str, directory: Path, *arguments: str, package: str = "tests.benchmarks", **variables: str
) -> Output:
    """Run `python -m <package>.<module>`, which must succeed and write `<report>.json` to the directory."""
    ran = subprocess.run(
        [sys.executable, "-m", f"{package}.{module}", *arguments],
        cwd=CHECKOUT,
        env=os.environ | {"REPORTS": str(directory)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    written = directory / f"{report}.json"
    assert f"Written to {written}" in ran.stdout
    return Output(ran.stdout, json.loads(written.read_text(encoding="utf-8")))
