"""Roles, credentials, imports and searches as clients see them."""

from typing import Any, Final, Literal

from pydantic import Field

from api.schemas.base import Id, Moment, Number, Output
from persistence.content.catalog_rows import MAX_ROWS, ImportEntry, Outcome


class SkillTarget(Output):
    """`target` 0..1 is the level a role needs; `importance` weighs the skill among the role's."""

    skill: str
    description: str
    target: Number
    importance: Number


class RoleResponse(Output):
    role_id: Id = Field(validation_alias="id")
    key: str
    name: str
    description: str
    skills: list[SkillTarget]
    prerequisites: list[Id] = Field(description="Roles whose assessment must be completed first")


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
    embedding_vector_ref: str | None = Field(default=None, description="The embedding artifact of its text, if any")


class CredentialList(Output):
    items: list[Credential]
    page: int
    page_size: int
    total: int


class SearchItem(Output):
    credential: Credential
    similarity: float | None = Field(default=None, description="Cosine, -1..1; absent where words alone found it")


class SearchResponse(Output):
    """Best first. `degraded` searches are less than they could be; `degraded_reason` says why."""

    items: list[SearchItem]
    degraded: bool
    degraded_reason: str | None = None


class ImportCounts(Output):
    added: int
    changed: int
    unchanged: int
    withdrawn: int


class ImportedRow(Output):
    """`row` counts from 1; a CSV's header is not counted."""

    row: int
    key: str
    status: Outcome
    warnings: list[str] = Field(description="What is allowed, and perhaps not meant")


class Detected(Output):
    """How a CSV was read. With `windows-1252`, check that letters with accents came out right."""

    encoding: Literal["utf-8", "utf-16", "windows-1252"]
    delimiter: Literal["comma", "semicolon", "tab"]


class ImportResponse(Output):
    """All rows of an import were taken in. What it added or changed can be found by meaning once it is embedded."""

    import_id: Id = Field(validation_alias="id")
    status: Literal["queued", "running", "succeeded", "failed"] = Field(
        description="Of the embedding: `queued` before the first vector, `running` before the last, then `succeeded`"
    )
    pending: int = Field(description="Entries without a vector of their text")
    counts: ImportCounts
    rows: list[ImportedRow]
    detected: Detected | None = Field(default=None, description="Absent for JSON")
    created_at: Moment
    completed_at: Moment | None = None


_ENTRY: Final = ImportEntry.model_json_schema() | {"description": "With `active` false only `key` is looked at"}
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
"""For the document: the route reads the body itself, because it may be either."""
