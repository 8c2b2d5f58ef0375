"""Schemas of roles, credentials, imports and searches."""

from typing import Any, Final, Literal, Self

from pydantic import Field

from api.schemas.base import Id, Moment, Number, Output
from domain.assessments.attempts import Reveal, attempts_left, next_start
from persistence.content.catalog_rows import MAX_ROWS, ImportEntry, Outcome
from persistence.queries.views import RoleView


class SkillTarget(Output):
    """A skill of a role. `target` 0..1 is the required score. `importance` is the skill's weight within the role."""

    skill: str
    description: str
    target: Number
    importance: Number


class OwnAttempts(Output):
    """The student's attempts at a role. Attempts that failed do not count."""

    used: int
    left: int | None = Field(default=None, description="Attempts that may still be started. Absent without a limit")
    next_start_at: Moment | None = Field(
        default=None,
        description="The end of the cool-down after the last attempt. Absent if the next attempt may start now, if one"
        " is open, or if none is left",
    )

    @classmethod
    def of(cls, role: RoleView) -> Self:
        history = role.history
        left = attempts_left(role.policy, history)
        waits = left != 0 and not history.in_progress
        start = next_start(role.policy, history) if waits else None
        return cls(
            used=history.used,
            left=left,
            next_start_at=start if start and start > role.now else None,
        )


class RoleResponse(Output):
    role_id: Id = Field(validation_alias="id")
    key: str
    name: str
    description: str
    skills: list[SkillTarget]
    prerequisites: list[Id] = Field(description="Roles whose assessment must be completed first")
    reveal: Reveal = Field(
        description="When students see right answers and explanations in their results: `always`; `after_last_attempt`,"
        " when all attempts have a result; or `never`"
    )
    attempts: int | None = Field(default=None, description="How many attempts a student has. Absent without a limit")
    cool_down_hours: int = Field(description="The time between the end of an attempt and the start of the next")
    own_attempts: OwnAttempts | None = Field(default=None, description="Present for students only")

    @classmethod
    def of(cls, role: RoleView, *, student: bool) -> Self:
        found = cls.model_validate(role)
        return found.model_copy(update={"own_attempts": OwnAttempts.of(role)}) if student else found


class RoleList(Output):
    items: list[RoleResponse]


class Credential(Output):
    credential_id: Id = Field(validation_alias="id")
    title: str
    description: str
    skills: list[str]
    provider: str
    level: str
    hours: Number
    source_uri: str
    prerequisites: list[Id]
    embedding_vector_ref: str | None = Field(default=None, description="Reference of the embedding of its text, if any")


class CredentialList(Output):
    items: list[Credential]
    page: int
    page_size: int
    total: int


class SearchItem(Output):
    credential: Credential
    similarity: float | None = Field(
        default=None, description="Cosine similarity, -1..1. Absent for a match by keywords only"
    )


class SearchResponse(Output):
    """Results, best first. In a `degraded` search a part did not work, so results may be worse or missing.

    `degraded_reason` says which part.
    """

    items: list[SearchItem]
    degraded: bool
    degraded_reason: str | None = None


class ImportCounts(Output):
    added: int
    changed: int
    unchanged: int
    withdrawn: int


class ImportedRow(Output):
    """`row` counts from 1, without the CSV header."""

    row: int
    key: str
    status: Outcome
    warnings: list[str] = Field(description="Values that are valid but may be mistakes")


class Detected(Output):
    """The detected CSV format. With `windows-1252`, check that letters with accents are right."""

    encoding: Literal["utf-8", "utf-16", "windows-1252"]
    delimiter: Literal["comma", "semicolon", "tab"]


class ImportResponse(Output):
    """An import whose rows are all stored. Search by meaning finds new and changed entries after their embedding."""

    import_id: Id = Field(validation_alias="id")
    status: Literal["queued", "running", "succeeded", "failed"] = Field(
        description="State of the embedding: `queued` before the first vector, `running` until the last, then"
        " `succeeded`"
    )
    pending: int = Field(description="Entries that have no vector yet")
    counts: ImportCounts
    rows: list[ImportedRow]
    detected: Detected | None = Field(default=None, description="Absent for JSON")
    created_at: Moment
    completed_at: Moment | None = None


_ENTRY: Final = ImportEntry.model_json_schema() | {"description": "With `active` false, only `key` is read"}
IMPORT_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["credentials"],
                    "additionalProperties": False,
                    "properties": {
                        "credentials": {"type": "array", "minItems": 1, "maxItems": MAX_ROWS, "items": _ENTRY}
                    },
                }
            },
            "text/csv": {"schema": {"type": "string", "format": "binary", "description": "See docs/catalog.md"}},
        },
    }
}
"""For the OpenAPI document: the route parses the body itself, because it accepts JSON and CSV."""
