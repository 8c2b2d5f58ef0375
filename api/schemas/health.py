"""Schemas of liveness and readiness."""

from typing import Literal

from pydantic import Field

from api.schemas.base import Output

UpOrDown = Literal["up", "down"]


class Health(Output):
    status: Literal["ok"] = "ok"


class QueueState(Output):
    served: bool = Field(description="A worker polled the queue in the last 70 s; workers poll at least every 60 s")
    waiting: int = Field(description="Approximate number of tasks that no worker has started")
    oldest_s: float = Field(description="Age of the oldest such task in seconds")


class StepState(Output):
    oldest_s: float = Field(description="Age in seconds of the oldest submission that waits at the step")
    lost_attempts: int = Field(description="Attempts that crashed their worker or timed out")


class Readiness(Output):
    """Only Postgres decides `status`. The other fields are for information and at most 2 s old."""

    omits_none = False

    status: Literal["ready", "unavailable"]
    postgres: UpOrDown
    temporal: UpOrDown
    vector_store: Literal["weaviate", "pgvector"] = Field(description="The store that workers search first")
    vector_store_state: UpOrDown = Field(description="If Weaviate is down, workers search pgvector")
    essay_grader: str | None = Field(
        description="The models that workers grade essays with, `local` for the local grader; null if unknown"
    )
    queues: dict[str, QueueState] | None = Field(
        description="Task queues by name; null if Temporal does not answer in time"
    )
    steps: dict[str, StepState] | None = Field(
        description="Steps in progress of the 100 oldest submissions, by name; null if Postgres is down"
    )
    stalled: list[str] = Field(
        description="Queues and steps without progress: a task not started after 60 s, a step not done after 120 s"
    )
