"""Read the data for retrieval and recommending: a folder of CSV files (UTF-8, with a header).

documents.csv  `id`, `text`, and optionally `title`, and `skills` separated by |
queries.csv    `query`, `relevant`: ids of documents separated by blanks or |. Each line of a query is one phrasing and
               is embedded separately
reactions.csv  `learner`, `credential`, `time` (ISO 8601 or a number), `rating` 1..5 (4 and 5 mean liked), and
               optionally `goal`, a description of the learner's goal. documents.csv, if present, has each credential

A folder needs documents.csv with queries.csv, or reactions.csv, or all three.
"""

import math
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from domain.errors import InvalidInput, Problem
from tests.evaluation.csv_files import refuse, rows_of


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
    """A learner's rating of a credential; `time` orders them. With equal times, the order of the file counts."""

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
    """Read a folder. Raise InvalidInput with a line for each of a file's first problems."""
    folder = Path(data)
    if not data or not folder.is_dir():
        raise InvalidInput(f"DATA={data} is not a folder")
    has = {name: (folder / f"{name}.csv").is_file() for name in ("documents", "queries", "reactions")}
    if has["queries"] and not has["documents"]:
        raise InvalidInput(f"{folder} has queries.csv, but no documents.csv")
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
    rows = rows_of(path, ("id", "text"))
    seen = set[str]()
    problems: list[Problem] = []
    for line, row in rows:
        if not row["id"].strip() or row["id"] in seen:
            problems.append(Problem(f"line {line}", "needs a unique id"))
        if not (row["text"].strip() or row.get("title", "").strip()):
            problems.append(Problem(f"line {line}", "has no text"))
        seen.add(row["id"])
    refuse(path, problems)
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
    for line, row in rows_of(path, ("query", "relevant")):
        relevant = frozenset(each for each in re.split(r"[\s|]+", row["relevant"]) if each)
        unknown = sorted(relevant - {*known})
        if not row["query"].strip():
            problems.append(Problem(f"line {line}", "has no query"))
        if not relevant:
            problems.append(Problem(f"line {line}", "names no relevant document"))
        if unknown:
            problems.append(Problem(f"line {line}", f"names ids missing in documents.csv: {', '.join(unknown[:3])}"))
        queries.append(Query(text=row["query"].strip(), relevant=relevant))
    refuse(path, problems)
    return tuple(queries)


def _reactions(path: Path, known: Collection[str]) -> tuple[Reaction, ...]:
    problems: list[Problem] = []
    reactions = []
    for line, row in rows_of(path, ("learner", "credential", "time", "rating")):
        time, rating = _time(row["time"]), _number(row["rating"])
        if not row["learner"].strip() or not row["credential"].strip():
            problems.append(Problem(f"line {line}", "needs a learner and a credential"))
        elif known and row["credential"] not in known:
            problems.append(Problem(f"line {line}", f"names ids missing in documents.csv: {row['credential']}"))
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
    refuse(path, problems)
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
