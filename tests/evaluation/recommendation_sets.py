"""What retrieval and recommending are measured on: a folder of CSV files (UTF-8, with a header).

documents.csv  `id`, `text`, and if you have them `title`, and `skills` separated by |
queries.csv    `query`, `relevant`: ids of documents separated by blanks or |. Lines within a query are phrasings of
               it; each is embedded for itself
reactions.csv  `learner`, `credential`, `time` (ISO 8601 or a number), `rating` 1..5 (4 and 5 mean liked), and if you
               have it `goal`: in words what the learner looks for. With documents.csv each credential must be in it

A folder needs documents.csv with queries.csv, or reactions.csv, or all three.
"""

import csv
import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from domain.errors import InvalidInput, Problem

SHOWN_PROBLEMS: Final = 20
FIELD_CHARS: Final = 10_000_000

Row = dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    id: str
    title: str
    text: str
    skills: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        return f"{self.title}. {self.text}" if self.title else self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    text: str
    relevant: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reaction:
    """`time` orders a learner's reactions; those of equal time stand in the order of the file."""

    learner: str
    credential: str
    time: float
    rating: float
    goal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendationSet:
    documents: tuple[Document, ...]
    queries: tuple[Query, ...]
    reactions: tuple[Reaction, ...]


def read_folder(data: str) -> RecommendationSet:
    """Raises InvalidInput with a line for each of the first problems of a file."""
    folder = Path(data)
    if not data or not folder.is_dir():
        raise InvalidInput(f"DATA={data} is no folder")
    has = {name: (folder / f"{name}.csv").is_file() for name in ("documents", "queries", "reactions")}
    if has["queries"] and not has["documents"]:
        raise InvalidInput(f"{folder} has queries.csv, but no documents.csv to find anything in")
    if not has["queries"] and not has["reactions"]:
        raise InvalidInput(f"{folder} has neither queries.csv nor reactions.csv")
    documents = _documents(folder / "documents.csv") if has["documents"] else ()
    known = {each.id for each in documents}
    return RecommendationSet(
        documents=documents,
        queries=_queries(folder / "queries.csv", known) if has["queries"] else (),
        reactions=_reactions(folder / "reactions.csv", known) if has["reactions"] else (),
    )


def _documents(path: Path) -> tuple[Document, ...]:
    rows = _rows(path, ("id", "text"))
    seen = set[str]()
    problems: list[Problem] = []
    for line, row in rows:
        if not row["id"].strip() or row["id"] in seen:
            problems.append(Problem(f"line {line}", "needs an id of its own"))
        if not (row["text"].strip() or row.get("title", "").strip()):
            problems.append(Problem(f"line {line}", "has no text"))
        seen.add(row["id"])
    _refuse(path, problems)
    return tuple(
        Document(
            id=row["id"],
            title=row.get("title", "").strip(),
            text=row["text"].strip(),
            skills=tuple(dict.fromkeys(each for part in row.get("skills", "").split("|") if (each := part.strip()))),
        )
        for _, row in rows
    )


def _queries(path: Path, known: Collection[str]) -> tuple[Query, ...]:
    problems: list[Problem] = []
    queries = []
    for line, row in _rows(path, ("query", "relevant")):
        relevant = frozenset(each for each in re.split(r"[\s|]+", row["relevant"]) if each)
        unknown = sorted(relevant - {*known})
        if not row["query"].strip():
            problems.append(Problem(f"line {line}", "has no query"))
        if not relevant:
            problems.append(Problem(f"line {line}", "names no relevant document"))
        if unknown:
            problems.append(Problem(f"line {line}", f"names what documents.csv has not: {', '.join(unknown[:3])}"))
        queries.append(Query(text=row["query"].strip(), relevant=relevant))
    _refuse(path, problems)
    return tuple(queries)


def _reactions(path: Path, known: Collection[str]) -> tuple[Reaction, ...]:
    problems: list[Problem] = []
    reactions = []
    for line, row in _rows(path, ("learner", "credential", "time", "rating")):
        time, rating = _time(row["time"]), _number(row["rating"])
        if not row["learner"].strip() or not row["credential"].strip():
            problems.append(Problem(f"line {line}", "needs a learner and a credential"))
        elif known and row["credential"] not in known:
            problems.append(Problem(f"line {line}", f"names what documents.csv has not: {row['credential']}"))
        if time is None:
            problems.append(Problem(f"line {line}", "needs a time in ISO 8601, or a number"))
        if rating is None or not 1 <= rating <= 5:  # the scale
            problems.append(Problem(f"line {line}", "needs a rating from 1 to 5"))
        reactions.append(
            Reaction(
                learner=row["learner"],
                credential=row["credential"],
                time=time or 0.0,
                rating=rating or 0.0,
                goal=row.get("goal", "").strip(),
            )
        )
    _refuse(path, problems)
    return tuple(reactions)


def _time(text: str) -> float | None:
    if (number := _number(text)) is not None:
        return number
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _rows(path: Path, columns: Sequence[str]) -> list[tuple[int, Row]]:
    """The rows by the line they end on; whatever a row lacks is an empty text."""
    csv.field_size_limit(FIELD_CHARS)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="", restkey="-")
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            rows = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InvalidInput(f"{path} cannot be read as CSV in UTF-8: {error}") from None
    _refuse(path, [Problem("header", f"has no column {column}") for column in missing])
    _refuse(path, [Problem(f"line {line}", "has more cells than the header") for line, row in rows if "-" in row])
    if not rows:
        raise InvalidInput(f"{path} holds no rows")
    return rows


def _refuse(path: Path, problems: Sequence[Problem]) -> None:
    if problems:
        listed = "\n".join(f"{problem.field} {problem.problem}" for problem in problems[:SHOWN_PROBLEMS])
        more = f"\nand {len(problems) - SHOWN_PROBLEMS} more" if len(problems) > SHOWN_PROBLEMS else ""
        raise InvalidInput(f"{path} cannot be used\n{listed}{more}", tuple(problems))
