"""Read many published results at once, with items, scores, reviews and the shown skills and recommendations."""

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from typing import Any, Final
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.grading.reviews import Review
from domain.rescores.comparison import PublishedResult, PublishedSkill, RecommendedCredential
from persistence.repositories import mappers
from persistence.repositories.items import read_items_of
from persistence.repositories.results import SCORE_COLUMNS, scores_of

_RESULTS: Final = """
WITH page AS MATERIALIZED (
  SELECT {columns} FROM assessments AS a JOIN users ON users.id = a.user_id
  WHERE users.status NOT IN ('erasing', 'erased') AND {conditions}
  ORDER BY a.id LIMIT :limit
)
SELECT page.*, {scores}, shown.document -> 'skills' AS skills, (
    SELECT jsonb_agg(jsonb_build_object('credential_id', item -> 'credential_id', 'title', item -> 'title')
      ORDER BY CAST(item ->> 'position' AS integer))
    FROM jsonb_array_elements(shown.document -> 'recommendation_items') AS item
  ) AS credentials
FROM page JOIN result_revisions AS shown ON shown.assessment_id = page.id AND shown.revision = page.revision
ORDER BY page.id
"""
_REVIEWS: Final = text("""
SELECT id, assessment_id, question_snapshot_id, levels, comment, published_revision FROM essay_reviews
WHERE assessment_id = ANY(:ids) ORDER BY created_at, id
""")


async def published_results(
    session: AsyncSession, conditions: tuple[str, ...], parameters: Mapping[str, Any]
) -> tuple[PublishedResult, ...]:
    """Return the results of the first `limit` assessments `a` that match the conditions, by id.

    Users being erased are left out.
    """
    rows = (await session.execute(_results(conditions), parameters)).all()
    ids = [row.id for row in rows]
    if not ids:
        return ()
    items = await read_items_of(session, ids)
    reviews = await _reviews(session, ids)
    return tuple(
        PublishedResult(
            assessment=mappers.assessment(row._mapping),  # noqa: SLF001  # SQLAlchemy's public name
            items=items.get(row.id, ()),
            scores=scores_of(row),
            reviews=tuple(reviews[row.id]),
            skills=tuple(map(_skill, row.skills or ())),
            credentials=tuple(
                RecommendedCredential(credential_id=UUID(each["credential_id"]), title=each["title"])
                for each in row.credentials or ()
            ),
        )
        for row in rows
    )


@cache
def _results(conditions: tuple[str, ...]) -> TextClause:
    columns = ", ".join(f"a.{name}" for name in mappers.ASSESSMENT)
    scores = SCORE_COLUMNS.format(id="page.id")
    return text(_RESULTS.format(columns=columns, conditions=" AND ".join(conditions), scores=scores))


async def _reviews(session: AsyncSession, ids: list[UUID]) -> Mapping[UUID, list[Review]]:
    found = defaultdict[UUID, list[Review]](list)
    for row in await session.execute(_REVIEWS, {"ids": ids}):
        found[row.assessment_id].append(
            Review(
                id=row.id,
                snapshot_id=row.question_snapshot_id,
                levels=row.levels,
                comment=row.comment,
                published_revision=row.published_revision,
            )
        )
    return found


def _skill(shown: Mapping[str, Any]) -> PublishedSkill:
    return PublishedSkill(skill=shown["skill"], score=_exact(shown["score"]), target=Decimal(str(shown["target"])))


def _exact(number: float | None) -> Decimal | None:
    return None if number is None else Decimal(str(number))
