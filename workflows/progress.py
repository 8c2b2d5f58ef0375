"""The progress of a run, for the query and the Web UI."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar, Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from domain.assessments.results import Publication
    from domain.grading.scores import DegradedReason


TIME: Final = "%Y-%m-%d %H:%M:%S UTC"


class Stage(StrEnum):
    """The stages of a run, in order. An assessment starts with `answering`, a revision with `waiting`."""

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

_RETRIED: Final = (
    "normally none. A failed step is retried automatically. *Pending Activities* shows its last failure and next "
    "retry. **Reset** there retries it now."
)
ACTIONS: Final = {
    Stage.ANSWERING: "none, waiting for the student. Send `submit` to check now whether the answers are in.",
    Stage.WAITING: "fix the cause of the last failure. Send `retry_degraded` to make the next attempt now.",
    **dict.fromkeys(_WORK, _RETRIED),
    Stage.DONE: "none.",
    Stage.FAILED: "see *Result* once the run has closed.",
}
"""What an operator can do at each stage."""

_AWAITS: Final = (
    "Waits until its provider answers. The last failure of `await_provider` under *Pending Activities* names the run "
    "`provider-gate-…` that probes the provider and releases this run."
)
_HELD: Final = "**Held** when it was published: the student and partners did not see this result."
_REVIEWER: Final = "It waited for an advisor to review the doubtful essays, or to release the result."
_RELEASER: Final = "It waited for an advisor to release it."
"""A release does not change a run, so these texts describe the time of the publication."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The result of the query `progress`. A waiting revision has `next_attempt` and `gives_up`, the end of healing.

    `awaits_provider`: the run waits for the gate of a provider. `held`: the last revision was held when it was
    published. `needs_review`: it waited for a review.
    """

    stage: Stage = Stage.ANSWERING
    essays_scored: int = 0
    essays_total: int = 0
    degraded_reasons: tuple[str, ...] = ()
    last_failure: str | None = None
    next_attempt: datetime | None = None
    gives_up: datetime | None = None
    awaits_provider: bool = False
    held: bool = False
    needs_review: bool = False


def checklist(progress: Progress, stages: Sequence[Stage] = STAGES) -> str:
    """Render the stages as a Markdown checklist with the last failure, the next attempt and the operator's action."""
    if progress.stage is Stage.FAILED:
        lines = [f"**failed**: {progress.last_failure}"]
    else:
        lines = [*_boxes(progress.stage, stages)]
        lines += [f"\nLast failure: {progress.last_failure}"] if progress.last_failure else []
    if progress.next_attempt and progress.gives_up:
        lines.append(f"\nNext attempt: {progress.next_attempt:{TIME}}. Healing ends: {progress.gives_up:{TIME}}")
    if progress.awaits_provider and progress.gives_up:
        lines.append(f"\n{_AWAITS} Healing ends: {progress.gives_up:{TIME}}")
    if progress.held:
        lines.append(f"\n{_HELD} {_REVIEWER if progress.needs_review else _RELEASER}")
    lines.append(f"\nAction: {ACTIONS[progress.stage]}")
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
    """Base of the workflows that publish results. It holds their progress."""

    stages: ClassVar[Sequence[Stage]] = STAGES

    def __init__(self) -> None:
        self._progress = Progress(stage=self.stages[0])

    @workflow.query
    def progress(self) -> Progress:
        return self._progress

    def show(self, stage: Stage, **changes: Any) -> None:  # noqa: ANN401 - the fields of Progress
        """Set the stage and update the checklist in the Web UI."""
        self._progress = replace(self._progress, stage=stage, **changes)
        workflow.set_current_details(checklist(self._progress, self.stages))

    def published(self, publication: Publication) -> None:
        """Show whether the revision was held when it was published."""
        self.show(self._progress.stage, held=publication.held, needs_review=publication.needs_review)

    def note(self, reasons: Iterable[str]) -> None:
        """Add degraded reasons, without duplicates."""
        noted = self._progress.degraded_reasons
        new = tuple(dict.fromkeys(str(reason) for reason in reasons if reason not in noted))
        self.show(self._progress.stage, degraded_reasons=noted + new)
