"""Format the results of runs as tables for people and as JSON data for programs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Final

from tests.benchmarks.report import table
from tests.evaluation.agreement import SUREST, Bin, Estimate, Figures, Interval, Judged, calibration, figures

COLUMNS: Final = (
    "n",
    "kappa",
    "95 %",
    "quadratic",
    "95 %",
    "exact",
    "adjacent",
    "abstain",
    "review",
    "rest",
    "exact",
    "surest",
    "exact",
    "error",
    "ms",
    "p95",
    "cents",
)
LEGEND: Final = f"""n: answers graded, in all trials
abstain, review: shares of the answers; rest: kappa, and exact, of the answers that need no review
surest: kappa, and exact, of the {SUREST:.0%} that the grader is surest of
error: the expected calibration error; ms, p95: the median time of an answer, and the 95th percentile"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A grader on a set. `name` identifies everything its figures depend on, except code and settings.

    `about` is the grader's own description of the run.
    """

    name: str
    title: str
    about: Mapping[str, Any]
    overall: Figures
    items: Mapping[str, Figures]
    bins: tuple[Bin, ...]


def a_run(name: str, title: str, about: Mapping[str, Any], judged: Sequence[Judged]) -> Run:
    items = dict.fromkeys(each.item for each in judged)
    return Run(
        name=name,
        title=title,
        about=about,
        overall=figures(judged),
        items={key: figures([each for each in judged if each.item == key]) for key in items},
        bins=calibration(each for each in judged if each.given),
    )


def tables(runs: Sequence[Run]) -> str:
    """Format a table of all runs, then the items and the calibration of each run."""
    parts = [table(["in all", *COLUMNS], [[run.title, *_row(run.overall)] for run in runs]), LEGEND]
    shares = ["exact", "adjacent", "abstained", "to_review", "rest_exact", "surest_exact", "calibration_error"]
    rows: list[list[object]] = [
        [
            run.title,
            *(_range(run.overall.intervals[name]) for name in shares),
            *(" ".join(_estimate(each)) for each in (run.overall.rest_quadratic, run.overall.surest_quadratic)),
        ]
        for run in runs
    ]
    parts.append(table(["95 % intervals", *shares, "rest quadratic", "surest quadratic"], rows))
    for run in runs:
        rows = [[key, *_row(found)] for key, found in run.items.items()]
        parts.append(table([run.title, *COLUMNS], rows))
        rows = [[f"{each.low:.1f} to {each.high:.1f}", each.levels, each.confidence, each.right] for each in run.bins]
        parts.append(table([f"{run.title}: confidence", "levels", "mean", "share right"], rows))
        parts.append("\n".join(f"{run.title}: {key} {value}" for key, value in run.about.items()))
    return "\n\n".join(parts)


def plain(value: Any) -> Any:
    """Convert a value to JSON types: objects by field name, undefined numbers to null."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return plain(value._asdict())
    if is_dataclass(value):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [plain(each) for each in value]
    if isinstance(value, float):
        return round(value, 4) if math.isfinite(value) else None
    return value


def _row(found: Figures) -> list[object]:
    return [
        found.answers,
        *_estimate(found.kappa),
        *_estimate(found.quadratic_kappa),
        f"{found.exact:.3f}",
        f"{found.adjacent:.3f}",
        f"{found.abstained:.0%}",
        f"{found.to_review:.0%}",
        f"{found.rest_kappa.value:.3f}",
        f"{found.rest_exact:.3f}",
        f"{found.surest_kappa.value:.3f}",
        f"{found.surest_exact:.3f}",
        f"{found.calibration_error:.3f}",
        f"{found.latency_ms_p50:.0f}",
        f"{found.latency_ms_p95:.0f}",
        f"{found.cost_cents:.3f}{'' if found.cost_complete else ' or more'}",
    ]


def _estimate(found: Estimate) -> tuple[str, str]:
    return f"{found.value:.3f}", _range(found)


def _range(found: Estimate | Interval) -> str:
    return f"{found.low:.2f}..{found.high:.2f}"
