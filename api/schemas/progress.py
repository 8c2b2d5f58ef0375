"""Schemas of the events of an assessment's progress."""

from typing import Literal

from pydantic import Field

from api.schemas.base import Output
from domain.assessments.progress import ProgressEvent


class ProgressMessage(Output):
    """The data of an event. The number of an event, its `id`, grows with each one."""

    event: Literal[
        "submitted",
        "claimed",
        "rules_scored",
        "essay_scored",
        "retrieved",
        "ranked",
        "published",
        "in_review",
        "released",
        "failed",
    ]
    essays_scored: int
    essays: int = Field(description="The number of answered essays")
    final: bool = Field(description="The stream ends after this event")

    @classmethod
    def of(cls, event: ProgressEvent) -> "ProgressMessage":
        progress = event.progress
        return cls(
            event=event.transition.value,
            essays_scored=progress.essays_scored,
            essays=progress.essays,
            final=progress.is_final,
        )
