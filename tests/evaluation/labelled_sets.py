"""Read answers with people's levels: the project's anchors, a file, the Khan folder, or the reviewers' levels.

A CSV file (UTF-8, with a header) has a row per answer: `item`, `question`, `criterion` (its text), `answer`, and the
human scores, either in `level` or in `human_1`, `human_2` and so on. All rows of an item have the same question and
criterion; a second criterion is a second item. Scores are numbers and may be averages of raters, such as 2.5. The score
is the median of the non-empty cells, the lower one of two. An item's levels are the scores from its lowest to its
highest in steps of 1, or of 0.5 if a score is between whole numbers; other scores are rounded up to the next step.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from statistics import median_low
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from domain.assessments.questions import Anchor, Criterion, EssayRubric, Level, QuestionKind
from domain.errors import InvalidInput, Problem
from persistence.content.files import read_content
from persistence.database import DatabaseSettings
from persistence.repositories.documents import decode, decode_answer
from tests.evaluation.csv_files import Row, refuse, rows_of

CONTENT: Final = Path(__file__).parents[2] / "deploy" / "content"
REVIEWS: Final = "reviews"
KEY: Final = "answer"
"""The only criterion of an item that comes from a file."""
COLUMNS: Final = ("item", "question", "criterion", "answer")
UNMET: Final = "Does not meet the criterion."

MOST_LEVELS: Final = 200

_SCORES: Final = re.compile(r"level|human_\d+")
_NUMBER: Final = re.compile(r"\d{1,6}(\.\d{1,6})?")
_REVIEWED: Final = """
SELECT * FROM (
  SELECT DISTINCT ON (review.question_snapshot_id)
    snapshot.version, snapshot.prompt, snapshot.rubric, review.levels, response.answer, review.created_at, review.id
  FROM essay_reviews AS review
  JOIN assessment_question_snapshots AS snapshot ON snapshot.id = review.question_snapshot_id
  JOIN assessment_responses AS response ON response.question_snapshot_id = snapshot.id
  JOIN assessments ON assessments.id = review.assessment_id
  JOIN users ON users.id = assessments.user_id
  WHERE users.status NOT IN ('erasing', 'erased')
  ORDER BY review.question_snapshot_id, review.created_at DESC, review.id DESC
) AS newest ORDER BY version, created_at, id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledItem:
    """A question with labelled answers. With `own`, they are its rubric's examples, which `rubric` here leaves out."""

    key: str
    prompt: str
    rubric: EssayRubric
    answers: tuple[Anchor, ...]
    own: bool = False


def read_set(data: str) -> list[LabelledItem]:
    """Read the labelled set that DATA names.

    Raises:
        InvalidInput: The set is invalid; there is a problem for each wrong row.
    """
    if not data:
        return project_anchors()
    if data == REVIEWS:
        return reviewed()
    path = Path(data)
    if path.is_dir():
        return khan_folder(path)
    if path.is_file():
        return csv_file(path)
    raise InvalidInput(f"DATA={data} is neither a file, nor a folder, nor {REVIEWS}")


def project_anchors() -> list[LabelledItem]:
    return [
        LabelledItem(
            key=content.key,
            prompt=content.question.prompt,
            rubric=replace(content.question.rubric, anchors=()),
            answers=content.question.rubric.anchors,
            own=True,
        )
        for content in read_content(CONTENT).questions
        if isinstance(content.question.rubric, EssayRubric)
    ]


def csv_file(path: Path) -> list[LabelledItem]:
    rows = rows_of(path, COLUMNS)
    problems: list[Problem] = []
    items: dict[str, list[tuple[Row, Decimal]]] = defaultdict(list)
    if not any(_SCORES.fullmatch(name) for name in rows[0][1]):
        refuse(path, [Problem("header", "has no column level or human_1")])
    for line, row in rows:
        scores = [value for name, value in row.items() if _SCORES.fullmatch(name) and value]
        problems += [Problem(f"line {line}", f"has no {name}") for name in COLUMNS if not row[name].strip()]
        if not scores or not all(score.isascii() and _NUMBER.fullmatch(score) for score in scores):
            problems.append(Problem(f"line {line}", "needs human scores that are numbers from 0"))
            continue
        item = items[row["item"]]
        item.append((row, median_low(map(Decimal, scores))))
        first = item[0][0]
        problems += [
            Problem(f"line {line}", f"has another {name} than the item's first row")
            for name in ("question", "criterion")
            if row[name] != first[name]
        ]
    problems += [
        Problem(f"item {key}", f"has more than {MOST_LEVELS} levels")
        for key, answers in items.items()
        if len(_scale([score for _, score in answers])) > MOST_LEVELS
    ]
    refuse(path, problems)
    return [_item(key, answers) for key, answers in items.items()]


def _scale(scores: Sequence[Decimal]) -> list[Decimal]:
    """Return the scores that an item can have, at least two."""
    step = Decimal(1) if all(score == int(score) for score in scores) else Decimal("0.5")
    lowest, highest = min(scores) // step, -(-max(scores) // step)
    if lowest == highest:
        lowest, highest = (lowest - 1, highest) if lowest else (lowest, highest + 1)
    return [step * place for place in range(int(lowest), int(highest) + 1)]


def khan_folder(path: Path) -> list[LabelledItem]:
    """Read `items.csv` (questions, criteria and example answers) and `human_labels.csv` (answers)."""
    items = {
        (row["domain"], row["item"]): row
        for _, row in rows_of(path / "items.csv", ("domain", "item", "question", "criteria_for_scoring"))
    }
    answers: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    problems: list[Problem] = []
    labels = path / "human_labels.csv"
    for line, row in rows_of(labels, ("domain", "item", "response", "human_avg")):
        if (row["domain"], row["item"]) not in items:
            problems.append(Problem(f"line {line}", "names an item that is not in items.csv"))
        elif row["human_avg"] not in {"0", "1"}:
            problems.append(Problem(f"line {line}", "needs a human_avg of 0 or 1"))
        else:
            answers[row["domain"], row["item"]].append((row["response"], int(row["human_avg"])))
    refuse(labels, problems)
    return [
        _labelled(
            " ".join(key),
            items[key]["question"],
            items[key]["criteria_for_scoring"],
            {
                "Incorrect": items[key].get("incorrect_answer_examples") or UNMET,
                "Correct": items[key].get("correct_answer_examples") or items[key]["criteria_for_scoring"],
            },
            found,
        )
        for key, found in answers.items()
    ]


def reviewed() -> list[LabelledItem]:
    """Read every reviewed answer from the database, by question version, without the student's identity."""
    url = DatabaseSettings().sqlalchemy_url.set(drivername="postgresql").render_as_string(hide_password=False)
    items: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    with psycopg.connect(url, row_factory=dict_row) as connection:
        for row in connection.execute(_REVIEWED):
            items[row["version"]].append(row)
    return [
        LabelledItem(
            key=version[:8],
            prompt=rows[0]["prompt"],
            rubric=decode(EssayRubric, rows[0]["rubric"]),
            answers=tuple(
                Anchor(text=str(decode_answer(QuestionKind.TEXT, row["answer"])), levels=row["levels"]) for row in rows
            ),
        )
        for version, rows in items.items()
    ]


def _item(key: str, answers: Sequence[tuple[Row, Decimal]]) -> LabelledItem:
    """Build a level for each score of the scale. The criterion describes the highest level."""
    first = answers[0][0]
    scale = _scale([score for _, score in answers])
    levels = {f"{score.normalize():f}": f"Meets a part of it: {score} of {scale[-1]}." for score in scale}
    levels |= dict(zip((*levels,)[:: len(levels) - 1], (UNMET, first["criterion"]), strict=True))
    labelled = [(row["answer"], sum(place < score for place in scale)) for row, score in answers]
    return _labelled(key, first["question"], first["criterion"], levels, labelled)


def _labelled(
    key: str, question: str, criterion: str, descriptors: Mapping[str, str], answers: Iterable[tuple[str, int]]
) -> LabelledItem:
    """Build a rubric with one criterion; `descriptors` are its levels' texts by name, the lowest first."""
    levels = tuple(
        Level(name=name, points=Decimal(points), descriptor=descriptor)
        for points, (name, descriptor) in enumerate(descriptors.items())
    )
    rubric = EssayRubric(
        criteria=(Criterion(key=KEY, name="Answer", description=criterion, skills=("the item's",), levels=levels),)
    )
    return LabelledItem(
        key=key,
        prompt=question,
        rubric=rubric,
        answers=tuple(Anchor(text=text, levels={KEY: levels[score].name}) for text, score in answers),
    )
