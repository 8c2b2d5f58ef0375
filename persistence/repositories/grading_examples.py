# ruff: noqa: S608  # statements are put together from fragments of this file only
"""The repository of reviewed answers as examples for a language model, and of the choices that were made."""

from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from sqlalchemy import ARRAY, Row, Uuid, bindparam, text

from domain.assessments.questions import QuestionKind
from domain.grading.examples import ReviewedAnswer
from domain.grading.ledger import CompletionKey
from persistence.repositories.base import Repository
from persistence.repositories.documents import decode_answer

MAX_CANDIDATES: Final = 64
"""Maximum number of reviewed answers among which the examples are chosen; the newest ones are used."""

_REVIEWED: Final = """
  SELECT review.id, review.question_snapshot_id, review.created_at, review.levels, response.answer,
    snapshot.assessment_id, snapshot.question_id, users.email, users.name
  FROM assessments AS own
  JOIN essay_reviews AS review ON review.organization_id = own.organization_id AND review.version = :version
  JOIN assessments AS other ON other.id = review.assessment_id AND other.user_id <> own.user_id
  JOIN users ON users.id = other.user_id AND users.status NOT IN ('erasing', 'erased')
  JOIN assessment_question_snapshots AS snapshot ON snapshot.id = review.question_snapshot_id
  JOIN assessment_responses AS response ON response.question_snapshot_id = review.question_snapshot_id
  WHERE own.id = :assessment_id"""

# The levels that a language model gave last, before any review.
_MODEL_LEVELS: Final = """(
    SELECT jsonb_object_agg(rating ->> 'criterion', rating ->> 'level')
    FROM (
      SELECT given.score FROM result_revisions AS earlier,
        jsonb_array_elements(earlier.document -> 'scores') AS given (score)
      WHERE earlier.assessment_id = used.assessment_id
        AND given.score ->> 'question_id' = CAST(used.question_id AS text) AND given.score ->> 'reviewed' = 'false'
        AND given.score ->> 'model' <> 'none' AND given.score ->> 'model' NOT LIKE 'local-%'
      ORDER BY earlier.revision DESC LIMIT 1
    ) AS newest_grade, jsonb_array_elements(newest_grade.score -> 'criteria') AS rating
  )"""
_COLUMNS: Final = f"""
SELECT used.id, used.levels, used.answer, used.email, used.name, graded.response_payload -> 'flags' AS flags,
  {_MODEL_LEVELS} AS model_levels
FROM used LEFT JOIN essay_scores AS graded ON graded.question_snapshot_id = used.question_snapshot_id"""

_CANDIDATES: Final = text(f"""
WITH used AS ({_REVIEWED}
    AND NOT EXISTS (
      SELECT FROM essay_reviews AS later
      WHERE later.assessment_id = review.assessment_id AND later.question_snapshot_id = review.question_snapshot_id
        AND (later.created_at, later.id) > (review.created_at, review.id)
    )
  ORDER BY review.created_at DESC, review.id DESC LIMIT :most
)
{_COLUMNS}
""")
_BY_ID: Final = text(f"WITH used AS ({_REVIEWED} AND review.id = ANY(:reviews)) {_COLUMNS}").bindparams(
    bindparam("reviews", type_=ARRAY(Uuid))
)

_CHOSEN: Final = text("SELECT review_ids FROM grading_examples WHERE id = :id")
# An existing choice is returned unchanged.
_CHOOSE: Final = text("""
INSERT INTO grading_examples AS choice (id, assessment_id, review_ids) VALUES (:id, :assessment_id, :reviews)
ON CONFLICT (id) DO UPDATE SET review_ids = choice.review_ids
RETURNING review_ids
""").bindparams(bindparam("reviews", type_=ARRAY(Uuid)))
_DROP: Final = text("UPDATE grading_examples SET review_ids = '{}' WHERE id = :id")


class SqlGradingExamples(Repository):
    """Each method is one statement."""

    async def candidates(self, key: CompletionKey) -> tuple[ReviewedAnswer, ...]:
        rows = await self._session.execute(_CANDIDATES, _question(key) | {"most": MAX_CANDIDATES})
        return tuple(map(_answer, rows))

    async def reviewed(self, key: CompletionKey, reviews: Sequence[UUID]) -> tuple[ReviewedAnswer, ...]:
        if not reviews:
            return ()
        rows = await self._session.execute(_BY_ID, _question(key) | {"reviews": list(reviews)})
        found = {row.id: _answer(row) for row in rows}
        return tuple(found[each] for each in reviews if each in found)

    async def chosen(self, key: CompletionKey) -> tuple[UUID, ...] | None:
        stored = await self._session.scalar(_CHOSEN, {"id": key.choice_id})
        return None if stored is None else tuple(stored)

    async def choose(self, key: CompletionKey, reviews: Sequence[UUID]) -> tuple[UUID, ...]:
        choice = {"id": key.choice_id, "assessment_id": key.assessment_id, "reviews": list(reviews)}
        return tuple((await self._session.execute(_CHOOSE, choice)).scalar_one())

    async def drop(self, key: CompletionKey) -> None:
        await self._session.execute(_DROP, {"id": key.choice_id})


def _question(key: CompletionKey) -> dict[str, Any]:
    return {"assessment_id": key.assessment_id, "version": key.rubric_version}


def _answer(row: Row[Any]) -> ReviewedAnswer:
    return ReviewedAnswer(
        review_id=row.id,
        text=str(decode_answer(QuestionKind.TEXT, row.answer)),
        levels=row.levels,
        moved=row.model_levels is not None and row.model_levels != row.levels,
        flags=tuple(row.flags or ()),
        author_name=row.name,
        author_email=row.email,
    )
