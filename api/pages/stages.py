"""The stages of grading as a student reads them."""

from dataclasses import dataclass
from enum import StrEnum

from api.pages.texts import gettext
from domain.assessments.progress import RunProgress


class StageState(StrEnum):
    DONE = "done"
    ACTIVE = "active"
    WAITING = "waiting"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    text: str
    state: StageState
    detail: str = ""


def stages_of(progress: RunProgress) -> tuple[Stage, ...]:
    """Return the stages in order. The first one that is not done is active, unless the run has failed."""
    all_scored = progress.essays_scored >= progress.essays
    essays = gettext("%(done)d of %(total)d") % {"done": progress.essays_scored, "total": progress.essays}
    found = [
        (gettext("Handed in"), progress.submitted, ""),
        (gettext("Score choices and numbers"), progress.rules_scored, ""),
        *([(gettext("Grade written answers"), all_scored and progress.claimed, essays)] if progress.essays else []),
        (gettext("Find matching courses"), progress.retrieved, ""),
        (gettext("Rank recommendations"), progress.ranked, ""),
        (gettext("Check by a reviewer"), progress.released, "")
        if progress.published and not progress.released
        else (gettext("Publish the result"), progress.released, ""),
    ]
    if progress.published:
        found = [(text, True, detail) for text, _, detail in found[:-1]] + found[-1:]
    active = next((place for place, (_, done, _) in enumerate(found) if not done), len(found))
    if progress.failed:
        active = len(found)
    return tuple(
        Stage(
            text=text,
            state=StageState.DONE if done else StageState.ACTIVE if place == active else StageState.WAITING,
            detail=detail,
        )
        for place, (text, done, detail) in enumerate(found)
    )
