"""Compare figures with a stored baseline to detect regressions."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.evaluation.agreement import Figures

BASELINE: Final = Path(__file__).with_name("baseline.json")
TOLERANCE: Final = 0.02
"""How much worse than the baseline a figure may be. Processors round differently, which changes close decisions."""

Stored = dict[str, float]


def guarded(figures: Figures) -> Stored:
    """Return the figures to compare; for each one, higher is better. Undefined figures are left out."""
    found = {
        "kappa": figures.kappa.value,
        "quadratic kappa": figures.quadratic_kappa.value,
        "exact": figures.exact,
        "exact, surest": figures.surest_exact,
        "exact, not to review": figures.rest_exact,
        "not to review": 1 - figures.to_review,
        "graded": 1 - figures.abstained,
        "true confidence": 1 - figures.calibration_error,
    }
    return {name: round(value, 4) for name, value in found.items() if math.isfinite(value)}


def regressions(stored: Stored, now: Stored) -> list[str]:
    """Return the figures that are worse than the baseline by more than the tolerance, or no longer defined."""
    return [
        f"{name}: {now.get(name, math.nan):.3f}, and {before:.3f} before"
        for name, before in stored.items()
        if not now.get(name, math.nan) >= before - TOLERANCE
    ]


def read(path: Path = BASELINE) -> dict[str, Stored]:
    """Return the stored figures by the run's name."""
    stored: dict[str, Stored] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return stored


def update(figures: Mapping[str, Stored], path: Path = BASELINE) -> None:
    """Replace the stored figures of these runs; keep those of other runs."""
    path.write_text(json.dumps(read(path) | dict(figures), indent=2, sort_keys=True) + "\n", encoding="utf-8")
