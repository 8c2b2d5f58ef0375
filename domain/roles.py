"""Role tracks, the skills they target and the micro-credentials that teach them."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillTarget:
    """A skill a role needs: `target` 0..1 is the level, `importance` > 0 its relative weight among the role's."""

    skill: str
    description: str
    target: Decimal
    importance: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    id: UUID
    key: str
    name: str
    description: str
    skills: tuple[SkillTarget, ...]
    prerequisites: tuple[UUID, ...] = ()


class CredentialLevel(StrEnum):
    FOUNDATION = "foundation"
    INTERMEDIATE = "intermediate"
    ADVANCED = "advanced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A micro-credential of the catalogue. `version` is the content hash of all but ids and `active`."""

    id: UUID
    key: str
    title: str
    description: str
    skills: tuple[str, ...]
    level: CredentialLevel
    hours: Decimal
    provider: str
    source_uri: str
    prerequisites: tuple[UUID, ...] = ()
    version: str
    active: bool = True
