"""Read the items of an assessment with answers, scores, located quotes and history."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from api.services.results import shown_document
from domain.assessments.questions import Item
from domain.grading.quotes import LocatedQuote, QuoteLocator
from domain.grading.scores import CopiedFrom
from persistence.queries.graded_items import GradedView, ReviewEntry, RevisionScores
from persistence.repositories.documents import decode


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemReview:
    """A review with the levels that the reviewer saw; None if the essay had none."""

    entry: ReviewEntry
    levels_before: Mapping[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRevision:
    """An item's score in one revision of the result."""

    revision: int
    published_at: datetime
    points: Decimal | None
    levels: Mapping[str, str] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessedItem:
    """An item with its history. `score` is the item's part of the result document, None before the first result.

    `quotes` has the located quotes by criterion, `sample_levels` the levels of a language model's samples.
    `copied_from` are the other students' answers that the answer was copied from. Students never see it.
    """

    item: Item
    score: Mapping[str, Any] | None
    quotes: Mapping[str, tuple[LocatedQuote, ...]]
    sample_levels: Mapping[str, tuple[str, ...]]
    copied_from: tuple[CopiedFrom, ...]
    reviews: tuple[ItemReview, ...]
    revisions: tuple[ItemRevision, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AssessedItems:
    """`document` is the visible result, None before the first one."""

    document: Mapping[str, Any] | None
    items: tuple[AssessedItem, ...]


def assessed_items(view: GradedView, items: tuple[Item, ...]) -> AssessedItems:
    """Combine a result with the assessment's items. CPU only, in proportion to the length of the quoted answers."""
    document = None if view.document is None else shown_document(view, view.document)
    scores = {UUID(score["question_id"]): score for score in document["scores"]} if document else {}
    reviews = decode(tuple[ReviewEntry, ...], view.reviews or [])
    revisions = decode(tuple[RevisionScores, ...], view.revisions or [])
    return AssessedItems(
        document=document,
        items=tuple(_assessed(item, scores.get(item.question.id), view, reviews, revisions) for item in items),
    )


def _assessed(
    item: Item,
    score: Mapping[str, Any] | None,
    view: GradedView,
    reviews: tuple[ReviewEntry, ...],
    revisions: tuple[RevisionScores, ...],
) -> AssessedItem:
    history = tuple(_revisions_of(item, revisions))
    levels = {each.revision: each.levels for each in history}
    snapshot = str(item.snapshot_id)
    return AssessedItem(
        item=item,
        score=score,
        quotes=_located(item, score or {}),
        sample_levels={
            each["criterion"]: tuple(each.get("sample_levels", ())) for each in (view.samples or {}).get(snapshot) or ()
        },
        copied_from=decode(tuple[CopiedFrom, ...], (view.copies or {}).get(snapshot) or []),
        reviews=tuple(
            ItemReview(entry=entry, levels_before=levels.get(entry.reviewed_revision or 0))
            for entry in reviews
            if entry.snapshot_id == item.snapshot_id
        ),
        revisions=history,
    )


def _revisions_of(item: Item, revisions: tuple[RevisionScores, ...]) -> Iterator[ItemRevision]:
    for each in revisions:
        for score in each.scores:
            if score.question_id == item.question.id:
                yield ItemRevision(
                    revision=each.revision, published_at=each.published_at, points=score.points, levels=score.levels
                )


def _located(item: Item, score: Mapping[str, Any]) -> dict[str, tuple[LocatedQuote, ...]]:
    criteria = score.get("criteria") or []
    if not isinstance(item.answer, str) or not any(criterion["quotes"] for criterion in criteria):
        return {each["criterion"]: tuple(LocatedQuote(text=quote) for quote in each["quotes"]) for each in criteria}
    locator = QuoteLocator(item.answer)
    return {each["criterion"]: tuple(map(locator.locate, each["quotes"])) for each in criteria}
