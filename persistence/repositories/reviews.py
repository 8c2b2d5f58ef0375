"""Reviews of essays. A review never changes; the newest one of an item counts."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from itertools import accumulate
from typing import Final
from uuid import UUID

from sqlalchemy import bindparam, func, select, text, update

from domain.assessments.lifecycle import Assessment
from domain.assessments.questions import Anchor, QuestionKind
from domain.grading.reviews import Review
from persistence.repositories import mappers
from persistence.repositories.base import Repository
from persistence.repositories.documents import decode_answer
from persistence.tables import EssayReviewRow
from persistence.tables.base import table_of

MAX_LABELLED: Final = 128
MAX_LABELLED_CHARS: Final = 300_000
"""Maximum number of labelled answers per question, and of their characters; the newest ones are used. A worker that has
embedded none of them needs half a minute for as many characters, and the timeout of a grading is a minute."""
_FIRST: Final = UUID(int=0)

_reviews: Final = table_of(EssayReviewRow)

_OF: Final = (
    select(
        _reviews.c.id,
        _reviews.c.question_snapshot_id,
        _reviews.c.levels,
        _reviews.c.comment,
        _reviews.c.published_revision,
    )
    .where(_reviews.c.assessment_id == bindparam("assessment_id"))
    .order_by(_reviews.c.created_at, _reviews.c.id)
)
_PUBLISHED: Final = (
    update(_reviews)
    .where(_reviews.c.id == func.any(bindparam("reviews")), _reviews.c.published_revision.is_(None))
    .values(published_revision=bindparam("in_revision"))
)
_UNPUBLISHED: Final = text(f"""
SELECT {", ".join(mappers.ASSESSMENT)} FROM assessments
WHERE id IN (
    SELECT assessment_id FROM essay_reviews WHERE published_revision IS NULL AND assessment_id > :after
  )
  AND status = 'completed' AND healing <> 'stopped'
  AND NOT EXISTS (SELECT FROM users WHERE users.id = user_id AND users.status IN ('erasing', 'erased'))
ORDER BY id LIMIT :limit
""")  # noqa: S608  # column names of this code

# A learner's own answers are excluded: a grader that learns from them would only repeat the reviewer.
_LABELLED: Final = text("""
SELECT asked.version, newest.levels, newest.answer
FROM assessments AS own
CROSS JOIN unnest(CAST(:versions AS text[])) AS asked (version)
CROSS JOIN LATERAL (
  SELECT review.id, review.created_at, review.levels, response.answer
  FROM essay_reviews AS review
  JOIN assessments AS other ON other.id = review.assessment_id
  JOIN users ON users.id = other.user_id
  JOIN assessment_responses AS response ON response.question_snapshot_id = review.question_snapshot_id
  WHERE review.organization_id = own.organization_id AND review.version = asked.version
    AND other.user_id <> own.user_id AND users.status NOT IN ('erasing', 'erased')
    AND NOT EXISTS (
      SELECT FROM essay_reviews AS later
      WHERE later.assessment_id = review.assessment_id AND later.question_snapshot_id = review.question_snapshot_id
        AND (later.created_at, later.id) > (review.created_at, review.id)
    )
  ORDER BY review.created_at DESC, review.id DESC LIMIT :most
) AS newest
WHERE own.id = :assessment_id
ORDER BY asked.version, newest.created_at, newest.id
""")


class SqlReviews(Repository):
    async def of(self, assessment_id: UUID) -> tuple[Review, ...]:
        rows = await self._session.execute(_OF, {"assessment_id": assessment_id})
        return tuple(
            Review(
                id=row.id,
                snapshot_id=row.question_snapshot_id,
                levels=row.levels,
                comment=row.comment,
                published_revision=row.published_revision,
            )
            for row in rows
        )

    async def published(self, reviews: Sequence[UUID], revision: int) -> None:
        if reviews:
            await self._session.execute(_PUBLISHED, {"reviews": list(reviews), "in_revision": revision})

    async def unpublished(self, *, after: UUID | None, limit: int) -> tuple[Assessment, ...]:
        rows = await self._session.execute(_UNPUBLISHED, {"after": after or _FIRST, "limit": limit})
        return tuple(mappers.assessment(row) for row in rows.mappings())

    async def labelled(self, assessment_id: UUID, versions: Collection[str]) -> dict[str, tuple[Anchor, ...]]:
        wanted = {"assessment_id": assessment_id, "versions": sorted(set(versions)), "most": MAX_LABELLED}
        rows = await self._session.execute(_LABELLED, wanted)
        found = defaultdict[str, list[Anchor]](list)
        for row in rows:
            answer = decode_answer(QuestionKind.TEXT, row.answer)
            found[row.version].append(Anchor(text=str(answer), levels=row.levels))
        return {version: tuple(_newest(anchors)) for version, anchors in found.items()}


def _newest(anchors: Sequence[Anchor]) -> Sequence[Anchor]:
    """Return the last of the answers, oldest first, that have at most `MAX_LABELLED_CHARS` characters in all."""
    lengths = accumulate(len(anchor.text) for anchor in reversed(anchors))
    count = sum(length <= MAX_LABELLED_CHARS for length in lengths)
    return anchors[len(anchors) - count :]
