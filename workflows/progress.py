"""Where a run is, as the query and the Web UI tell it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.grading.scores import DegradedReason


TIME: Final = "%Y-%m-%d %H:%M:%S UTC"


class Stage(StrEnum):
    """Where a run is, in the order of the stages; a revision waits where an assessment is answered."""

    ANSWERING = "answering"
    WAITING = "waiting"
    SCORING = "scoring"
    RETRIEVING = "retrieving"
    RECOMMENDING = "recommending"
    PUBLISHING = "publishing"
    DONE = "done"
    FAILED = "failed"


_WORK: Final = (Stage.SCORING, Stage.RETRIEVING, Stage.RECOMMENDING, Stage.PUBLISHING, Stage.DONE)
STAGES: Final = (Stage.ANSWERING, *_WORK)
REVISION_STAGES: Final = (Stage.WAITING, *_WORK)

_TRIES_AGAIN: Final = (
    "nothing, normally. A step that fails is tried again by itself: *Pending Activities* shows its last failure and "
    "next retry, and **Reset** there tries it at once."
)
ACTIONS: Final = {
    Stage.ANSWERING: "nothing, the student has the word. Signal `submit` looks now whether the answers are in.",
    Stage.WAITING: "signal `retry_degraded` makes the next attempt now.",
    **dict.fromkeys(_WORK, _TRIES_AGAIN),
    Stage.DONE: "nothing.",
    Stage.FAILED: "nothing yet. Once the run has closed, *Result* says what to do.",
}
"""What an operator may do at a stage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The answer to the query `progress`. `next_attempt` and `gives_up` are those of a revision that waits."""

    stage: Stage = Stage.ANSWERING
    essays_scored: int = 0
    essays_total: int = 0
    degraded_reasons: tuple[str, ...] = ()
    last_failure: str | None = None
    next_attempt: datetime | None = None
    gives_up: datetime | None = None


def checklist(progress: Progress, stages: Sequence[Stage] = STAGES) -> str:
    """The stages as Markdown: done, current and to come; what failed last, what comes next, what may be pressed."""
    if progress.stage is Stage.FAILED:
        lines = [f"**failed**: {progress.last_failure}"]
    else:
        lines = [*_boxes(progress.stage, stages)]
        lines += [f"\nLast failure: {progress.last_failure}"] if progress.last_failure else []
    if progress.next_attempt and progress.gives_up:
        lines.append(f"\nNext attempt: {progress.next_attempt:{TIME}}; given up after {progress.gives_up:{TIME}}")
    lines.append(f"\nPress: {ACTIONS[progress.stage]}")
    if progress.essays_total:
        lines.append(f"\nEssays graded: {progress.essays_scored} of {progress.essays_total}")
    if progress.degraded_reasons:
        lines.append("\nDegraded:")
        lines += [f"- `{reason}`: {DegradedReason(reason).text}" for reason in progress.degraded_reasons]
    return "\n".join(lines)


def _boxes(current: Stage, stages: Sequence[Stage]) -> Iterable[str]:
    now = stages.index(current)
    for at, stage in enumerate(stages):
        done = at < now or stage is current is Stage.DONE
        yield f"- [{'x' if done else ' '}] {stage}" + (" **← now**" if at == now and not done else "")


class StagedWorkflow:
    """What a run of stages tells about itself; the base of the workflows that make results."""

    stages: ClassVar[Sequence[Stage]] = STAGES

    def __init__(self) -> None:
        self._progress = Progress(stage=self.stages[0])

    @workflow.query
    def progress(self) -> Progress:
        return self._progress

    def show(self, stage: Stage, **changes: Any) -> None:  # noqa: ANN401 - the fields of Progress
        """Moves to a stage and redraws the checklist that the Web UI shows."""
        self._progress = replace(self._progress, stage=stage, **changes)
        workflow.set_current_details(checklist(self._progress, self.stages))

    def note(self, reasons: Iterable[str]) -> None:
        """Adds degraded reasons that were not noted before."""
        noted = self._progress.degraded_reasons
        new = tuple(dict.fromkeys(str(reason) for reason in reasons if reason not in noted))
        self.show(self._progress.stage, degraded_reasons=noted + new)
