"""The progress of a run from the submission to the result, as a sequence of events that can be resumed.

Progress is derived from stored rows. Within a run it only grows, and its number grows with it, so the number of the
last event that a client has seen tells which events it misses.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Final

ESSAY_BITS: Final = 12
_RUN_SHIFT: Final = 32


class Transition(StrEnum):
    """A durable step of a run."""

    SUBMITTED = "submitted"
    CLAIMED = "claimed"
    RULES_SCORED = "rules_scored"
    ESSAY_SCORED = "essay_scored"
    RETRIEVED = "retrieved"
    RANKED = "ranked"
    PUBLISHED = "published"
    IN_REVIEW = "in_review"
    RELEASED = "released"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """What is stored about a run. `released`: the student may read the result; published, but not released: in review.

    `essays` is the number of answered essays, `essays_scored` how many of them have a score.
    """

    run: int
    submitted: bool = False
    claimed: bool = False
    rules_scored: bool = False
    essays_scored: int = 0
    essays: int = 0
    retrieved: bool = False
    ranked: bool = False
    published: bool = False
    released: bool = False
    failed: bool = False

    @property
    def is_final(self) -> bool:
        return self.released or self.failed

    @property
    def number(self) -> int:
        """Return a number that grows with each transition: the run, a bit for each step, and the essays scored."""
        bits = sum(1 << place for place, name in enumerate(_FLAGS) if getattr(self, name))
        return self.run << _RUN_SHIFT | bits << ESSAY_BITS | self.essays_scored


_FLAGS: Final = tuple(each.name for each in fields(RunProgress) if each.name not in {"run", "essays", "essays_scored"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressEvent:
    """`progress` after the transition. Its number is the event's id."""

    transition: Transition
    progress: RunProgress


def events_after(last: int | None, current: RunProgress) -> Iterator[ProgressEvent]:
    """Yield an event for each transition between the number `last` and the current progress, in order.

    None, another run's number, or a number that this run cannot have reached: all events of the run.
    """
    seen = _decode(last, current)
    for transition in _missing(seen, current):
        seen = _apply(seen, transition)
        yield ProgressEvent(transition=transition, progress=seen)


def _missing(seen: RunProgress, current: RunProgress) -> list[Transition]:
    steps: list[Transition] = []
    for transition, name in _ORDER:
        if transition is Transition.ESSAY_SCORED:
            steps += [transition] * (current.essays_scored - seen.essays_scored)
        elif getattr(current, name) and not getattr(seen, name):
            steps.append(transition)
    if not current.released:  # published for reviewers only
        steps = [Transition.IN_REVIEW if step is Transition.PUBLISHED else step for step in steps]
    return steps


_ORDER: Final = (
    (Transition.SUBMITTED, "submitted"),
    (Transition.CLAIMED, "claimed"),
    (Transition.RULES_SCORED, "rules_scored"),
    (Transition.ESSAY_SCORED, "essays_scored"),
    (Transition.RETRIEVED, "retrieved"),
    (Transition.RANKED, "ranked"),
    (Transition.PUBLISHED, "published"),
    (Transition.RELEASED, "released"),
    (Transition.FAILED, "failed"),
)


def _apply(seen: RunProgress, transition: Transition) -> RunProgress:
    if transition is Transition.ESSAY_SCORED:
        return replace(seen, essays_scored=seen.essays_scored + 1)
    name = "published" if transition is Transition.IN_REVIEW else transition.value
    return replace(seen, **{name: True})


def _decode(last: int | None, current: RunProgress) -> RunProgress:
    nothing = RunProgress(run=current.run, essays=current.essays)
    if last is None or last >> _RUN_SHIFT != current.run:
        return nothing
    bits = last >> ESSAY_BITS
    flags = {name: bool(bits >> place & 1) for place, name in enumerate(_FLAGS)}
    seen = replace(nothing, essays_scored=last & (1 << ESSAY_BITS) - 1, **flags)
    reached = all(getattr(current, name) or not flags[name] for name in _FLAGS)
    return seen if reached and seen.essays_scored <= current.essays_scored else nothing
