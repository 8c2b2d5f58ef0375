"""The stored figures that a change must not make worse."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.evaluation.agreement import Figures

BASELINE: Final = Path(__file__).with_name("baseline.json")
TOLERANCE: Final = 0.02
"""How much worse than stored a figure may be: processors round differently, and levels lie on a knife's edge."""

Stored = dict[str, float]


def guarded(figures: Figures) -> Stored:
    """What is compared, each so that more is better; what is not defined is left out."""
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
    """What is worse than stored by more than the tolerance, or not defined any more."""
    return [
        f"{name}: {now.get(name, math.nan):.3f}, and {before:.3f} before"
        for name, before in stored.items()
        if not now.get(name, math.nan) >= before - TOLERANCE
    ]


def read(path: Path = BASELINE) -> dict[str, Stored]:
    """Figures by the run's name."""
    stored: dict[str, Stored] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return stored


def update(figures: Mapping[str, Stored], path: Path = BASELINE) -> None:
    """Puts these runs' figures in place of what was stored of them."""
    path.write_text(json.dumps(read(path) | dict(figures), indent=2, sort_keys=True) + "\n", encoding="utf-8")
