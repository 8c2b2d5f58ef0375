"""Where a run is, as the query and the Web UI tell it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.scores import DegradedReason


class Stage(StrEnum):
    """Where a run is, in the order of the stages."""

    ANSWERING = "answering"
    SCORING = "scoring"
    RETRIEVING = "retrieving"
    RECOMMENDING = "recommending"
    PUBLISHING = "publishing"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The answer to the query `progress`."""

    stage: Stage = Stage.ANSWERING
    essays_scored: int = 0
    essays_total: int = 0
    degraded_reasons: tuple[str, ...] = ()
    last_failure: str | None = None


def checklist(progress: Progress) -> str:
    """The stages as Markdown: done, current and to come; essays, degraded parts and the last failure named."""
    order = [stage for stage in Stage if stage is not Stage.FAILED]
    if progress.stage is Stage.FAILED:
        lines = [f"**failed**: {progress.last_failure}"]
    else:
        current = order.index(progress.stage)
        lines = [
            f"- [{'x' if at < current or stage is progress.stage is Stage.DONE else ' '}] {stage}"
            + (" **← now**" if at == current and stage is not Stage.DONE else "")
            for at, stage in enumerate(order)
        ]
        lines += [f"\nLast failure: {progress.last_failure}"] if progress.last_failure else []
    if progress.essays_total:
        lines.append(f"\nEssays graded: {progress.essays_scored} of {progress.essays_total}")
    if progress.degraded_reasons:
        lines.append("\nDegraded:")
        lines += [f"- `{reason}`: {DegradedReason(reason).text}" for reason in progress.degraded_reasons]
    return "\n".join(lines)


class Staged:
    """What a run of stages tells about itself; the base of the workflows that make results."""

    def __init__(self) -> None:
        self._progress = Progress()

    @workflow.query
    def progress(self) -> Progress:
        return self._progress

    def show(self, stage: Stage, **changes: Any) -> None:  # noqa: ANN401 - the fields of Progress
        """Moves to a stage and redraws the checklist that the Web UI shows."""
        self._progress = replace(self._progress, stage=stage, **changes)
        workflow.set_current_details(checklist(self._progress))

    def note(self, reasons: Iterable[str]) -> None:
        """Adds degraded reasons that were not noted before."""
        noted = self._progress.degraded_reasons
        new = tuple(dict.fromkeys(str(reason) for reason in reasons if reason not in noted))
        self.show(self._progress.stage, degraded_reasons=noted + new)
