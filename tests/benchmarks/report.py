"""Report measurements as a table for people and as JSON for programs."""

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

REPORTS = Path(os.environ.get("REPORTS", ".local/reports"))


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Format a table: the first column left-aligned, the others right-aligned, floats with three significant digits."""
    cells = [[str(column) for column in columns], *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[place]) for row in cells) for place in range(len(columns))]
    lines = [
        "  ".join(cell.ljust(width) if place == 0 else cell.rjust(width) for place, (cell, width) in enumerate(each))
        for each in (list(zip(row, widths, strict=True)) for row in cells)
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def write(command: str, figures: Mapping[str, Any]) -> Path:
    """Write the figures and the machine's description to `.local/reports/<command>.json`."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    path = REPORTS / f"{command}.json"
    machine = {"python": sys.version.split()[0], "platform": platform.platform()}
    path.write_text(json.dumps({"machine": machine, **figures}, indent=2, default=str) + "\n", encoding="utf-8")
    return path


def progress(done: int, total: int, what: str) -> None:
    """Print how much is done to stderr, on one line."""
    sys.stderr.write(f"\r{done} of {total} {what}" + ("\n" if done >= total else ""))
    sys.stderr.flush()


def say(line: str = "") -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _cell(value: object) -> str:
    return (
        f"{value:.3g}"
        if isinstance(value, float) and abs(value) < 100
        else f"{value:.0f}"
        if isinstance(value, float)
        else str(value)
    )
