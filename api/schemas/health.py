"""Liveness and readiness."""

from typing import Literal

from pydantic import Field

from api.schemas.base import Output

UpOrDown = Literal["up", "down"]


class Health(Output):
    status: Literal["ok"] = "ok"


class QueueState(Output):
    served: bool = Field(description="A worker asked for work within the last 70 s, as it does at least every 60 s")
    waiting: int = Field(description="Tasks that no worker has taken, about")
    oldest_s: float = Field(description="Age of the oldest of them in seconds")


class StepState(Output):
    oldest_s: float = Field(description="Age of the oldest hand-in that is held at the step, in seconds")
    lost_attempts: int = Field(description="Attempts that crashed their worker or ran out of time")


class Readiness(Output):
    """Only Postgres decides readiness; the rest is reported beside it, as it was at most 2 s ago."""

    status: Literal["ready", "unavailable"]
    postgres: UpOrDown
    temporal: UpOrDown
    vector_store: Literal["weaviate", "pgvector"] = Field(description="Which one workers search first")
    vector_store_state: UpOrDown = Field(description="While Weaviate is down, pgvector answers")
    essay_grader: str | None = Field(
        description="The models that workers grade essays with, `local` for the local grader; null while none says"
    )
    queues: dict[str, QueueState] | None = Field(description="By name; null where Temporal does not tell in time")
    steps: dict[str, StepState] | None = Field(
        description="Steps that have begun and not ended, of the 100 oldest hand-ins; null while Postgres is down"
    )
    stalled: list[str] = Field(
        description="Queues and steps without progress: a task nobody took for 60 s, a step not done after 120 s"
    )
