"""Role tracks, their skill targets, and the micro-credentials that teach the skills."""

from collections.abc import Collection
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from uuid import UUID

from domain.assessments.attempts import AttemptPolicy
from domain.validation import check_names, check_positive, check_range, check_text, check_unique


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillTarget:
    """A skill that a role requires. `target` (0..1) is the required level, `importance` (> 0) the relative weight."""

    skill: str
    description: str
    target: Decimal
    importance: Decimal

    def __post_init__(self) -> None:
        check_text("skill", self.skill)
        check_range("target", self.target, 0, 1)
        check_positive("importance", self.importance, 999)


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    id: UUID
    key: str
    name: str
    description: str
    skills: tuple[SkillTarget, ...]
    prerequisites: tuple[UUID, ...] = ()
    attempt_policy: AttemptPolicy = field(default_factory=AttemptPolicy)

    def __post_init__(self) -> None:
        check_text("name", self.name)
        check_names("skills", (target.skill for target in self.skills))
        check_prerequisites(self.id, self.prerequisites)


class CredentialLevel(StrEnum):
    FOUNDATION = "foundation"
    INTERMEDIATE = "intermediate"
    ADVANCED = "advanced"


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A micro-credential of the catalogue. `version` is the content hash of all fields except ids and `active`."""

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

    def __post_init__(self) -> None:
        check_text("title", self.title)
        check_names("skills", self.skills)
        check_hours(self.hours)
        check_prerequisites(self.id, self.prerequisites)


def check_hours(hours: Decimal) -> None:
    """Check the hours of a credential: above 0, at most 99,999, two decimal places."""
    check_positive("hours", hours, 99_999, places=2)


def check_prerequisites(own: object, prerequisites: Collection[object]) -> None:
    """Check that the prerequisites, ids or keys, are different, and that none is the `own` one."""
    check_unique("prerequisites", prerequisites)
    if own in prerequisites:
        raise ValueError("prerequisites: must not name itself")


def credential_text(credential: Credential) -> str:
    """Return the text of a credential for embedding: a line with the title, and a line with description and skills.

    The lines are embedded separately. Without a description there is one line, because a line with only the skills
    would have the same weight as the title. The `content_hash` of the text is the catalogue's `text_hash`.
    """
    title, description = (" ".join(text.split()) for text in (credential.title, credential.description))
    skills = f"Skills: {' '.join(', '.join(credential.skills).split())}."
    return f"{title}\n{description} {skills}" if description else f"{title} {skills}"
