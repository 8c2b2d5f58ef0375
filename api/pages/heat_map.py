"""Arrange mean scores as a table of rows and skills, with a colour band for each cell."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from api.pages.texts import percent
from persistence.queries.advisor_pages import CohortSkill, StudentSkills

MAX_SKILLS: Final = 12
"""The skills with scores of the most students are shown."""
BANDS: Final = (0.4, 0.55, 0.7, 0.85)
"""The lowest score of each band above the first."""


@dataclass(frozen=True, slots=True)
class Cell:
    """`band` is from 0 to 4; -1 without a score. `students` is the number of students behind the score."""

    band: int
    text: str
    students: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    path: str
    label: str
    detail: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class HeatMap:
    skills: tuple[str, ...]
    rows: tuple[Row, ...]
    left_out: int
    """How many skills are not shown."""


EMPTY: Final = Cell(-1, "–", 0)


def cohort_map(found: Sequence[CohortSkill], everyone: str) -> HeatMap:
    """Build a row for all students and one for each cohort."""
    totals = Counter({each.skill: each.students for each in found if each.cohort_id is None})
    rows: dict[object, tuple[str, str, dict[str, Cell]]] = {}
    texts = _percentages()
    for each in found:
        path = f"/cohorts/{each.cohort_id}/skills" if each.cohort_id else ""
        _, _, cells = rows.setdefault(each.cohort_id, (path, each.cohort or everyone, {}))
        cells[each.skill] = _cell(each.mean, each.students, texts)
    return _arranged(totals, ((path, label, "", cells) for path, label, cells in rows.values()))


def student_map(found: Sequence[StudentSkills]) -> HeatMap:
    """Build a row for each student."""
    texts = _percentages()
    totals = Counter(skill for each in found for skill in each.skills)
    return _arranged(
        totals,
        (
            (
                f"/students/{each.user_id}",
                each.name or each.email,
                each.email if each.name else "",
                {skill: _cell(score, 1, texts) for skill, score in each.skills.items()},
            )
            for each in found
        ),
    )


def _arranged(totals: Counter[str], rows: Iterable[tuple[str, str, str, Mapping[str, Cell]]]) -> HeatMap:
    skills = tuple(sorted(skill for skill, _ in totals.most_common(MAX_SKILLS)))
    return HeatMap(
        skills=skills,
        rows=tuple(
            Row(path=path, label=label, detail=detail, cells=tuple(cells.get(skill, EMPTY) for skill in skills))
            for path, label, detail, cells in rows
        ),
        left_out=len(totals) - len(skills),
    )


def _cell(score: float, students: int, texts: Sequence[str]) -> Cell:
    return Cell(sum(score >= lowest for lowest in BANDS), texts[round(score * 100)], students)


def _percentages() -> list[str]:
    """Return 0 % to 100 % in the request's language. Formatting thousands of cells one by one is slow."""
    return [percent(each / 100) for each in range(101)]
