"""The benchmark's fixed workload: a role of ten items, two of them essays of 250 words, and its students."""

import shutil
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import psycopg
import yaml

from api.security.tokens import Principal, UserRole
from domain.ids import derived_id

CONTENT = Path("deploy/content")
ROLE = "data-analyst"
ROLE_ID = derived_id("role", ROLE)
ITEMS = 10
ESSAYS = 2
ESSAY_WORDS = 250


def write_content(directory: Path) -> None:
    """Write the project's content with the role reduced to eight short items and two essays."""
    shutil.copytree(CONTENT, directory, dirs_exist_ok=True)
    path = directory / "questions" / f"{ROLE}.yaml"
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    essays = [question for question in document["questions"] if question["kind"] == "text"][:ESSAYS]
    others = [question for question in document["questions"] if question["kind"] != "text"]
    document["questions"] = [*others[: ITEMS - len(essays)], *essays]
    path.write_text(yaml.safe_dump(document, sort_keys=False, allow_unicode=True), encoding="utf-8")


def essay_text() -> str:
    """Return 250 words of an average answer from the role's anchors."""
    document = yaml.safe_load((CONTENT / "questions" / f"{ROLE}.yaml").read_text(encoding="utf-8"))
    essay = next(question for question in document["questions"] if question["kind"] == "text")
    words = " ".join(anchor["text"] for anchor in essay["rubric"]["anchors"][1:4]).split()
    return " ".join(words[:ESSAY_WORDS])


@dataclass(frozen=True, slots=True)
class Student:
    id: UUID
    organization_id: UUID

    @property
    def principal(self) -> Principal:
        return Principal(user_id=self.id, role=UserRole.STUDENT, organization_id=self.organization_id, version=0)


def add_students(database_url: str, count: int, organization_id: UUID | None = None) -> list[Student]:
    """Insert students of one organization, by default a new one. A login per student would mostly measure bcrypt."""
    organization_id = organization_id or uuid4()
    students = [Student(uuid4(), organization_id) for _ in range(count)]
    with psycopg.connect(database_url.replace("+psycopg", "")) as connection:
        connection.execute(
            "INSERT INTO organizations (id, name) VALUES (%s, 'bench') ON CONFLICT DO NOTHING", [organization_id]
        )
        with connection.cursor() as cursor:
            cursor.executemany(
                "INSERT INTO users (id, organization_id, email, role) VALUES (%s, %s, %s, 'student')",
                [(student.id, organization_id, f"{student.id}@example.org") for student in students],
            )
    return students
