"""Liveness and readiness."""

from typing import Literal

from api.wire import Output


class Health(Output):
    status: Literal["ok"] = "ok"


class Readiness(Output):
    """Only Postgres decides readiness; the rest is reported beside it."""

    status: Literal["ready", "unavailable"]
    postgres: Literal["up", "down"]
    temporal: Literal["up", "down"]
    vector_store: Literal["weaviate", "pgvector"]
    essay_grader: Literal["local"]
