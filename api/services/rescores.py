"""Use cases of re-scores: request, apply, discard, and the CSV of the differences."""

import json
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from api.services.csv_cells import csv_cell, csv_lines
from api.services.use_cases import UseCases
from domain.errors import InvalidInput, Problem
from domain.grading.scores import DegradedReason
from domain.rescores.rescores import Rescore, RescoreScope
from persistence.queries.rescores import DifferenceView, RescoreQueries
from persistence.queries.views import Actor
from persistence.repositories.requested_rescores import NewRescore

CSV_PAGE: Final = 500
COLUMNS: Final = (
    *("assessment_id", "user_id", "revision", "outcome", "status", "skip_reason", "applied_revision"),
    *("old_total", "new_total", "question_id", "old_points", "new_points", "old_max_points", "new_max_points"),
    *("old_levels", "new_levels", "not_comparable", "skills", "credentials_in", "credentials_out"),
    *("reached_targets", "missed_targets"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RescoreWish:
    """What an admin asks for, with either `role_id` or `question_key`."""

    role_id: UUID | None
    question_key: str | None
    since: datetime | None
    reason: str
    scope: RescoreScope
    versions: Collection[str]


class RescoreService(UseCases):
    async def request(self, organization_id: UUID, admin: Actor, wish: RescoreWish) -> Rescore:
        """Store a re-score of the organization's assessments.

        Raises:
            InvalidInput: there is no such role or question, or the scope does not cover the question.
            Erased: the admin is being erased.
        """
        await self._uow.people.lock_author(admin.id)
        if wish.role_id is not None and not await self._uow.requested_rescores.has_role(wish.role_id):
            raise _invalid("role_id", "is not a role")
        question_id = await self._question_id(wish) if wish.question_key is not None else None
        new = NewRescore(
            organization_id=organization_id,
            role_id=wish.role_id,
            question_id=question_id,
            since=wish.since,
            versions=tuple(wish.versions),
            reason=wish.reason,
            scope=wish.scope,
        )
        return await self._uow.requested_rescores.add(new, admin)

    async def apply(
        self, rescore_id: UUID, organization_id: UUID, admin: Actor, assessment_ids: Collection[UUID] | None
    ) -> tuple[Rescore, int]:
        """Choose differences to publish. Return the re-score and the number of chosen differences.

        Raises:
            NotFound: the organization has no such re-score.
            Conflict: the re-score is not computed.
        """
        found = await self._uow.requested_rescores.lock(rescore_id, organization_id)
        found.check_applicable()
        return found, await self._uow.requested_rescores.choose(found, assessment_ids, admin)

    async def discard(self, rescore_id: UUID, organization_id: UUID, admin: Actor) -> Rescore:
        """Begin to delete the differences. A running computation ends. Idempotent.

        Raises:
            NotFound: the organization has no such re-score.
            Conflict: differences are being applied.
        """
        found = await self._uow.requested_rescores.lock(rescore_id, organization_id)
        found.check_discardable()
        if not found.is_discarded:
            await self._uow.requested_rescores.discard(found, admin)
        return found

    async def _question_id(self, wish: RescoreWish) -> UUID:
        question = await self._uow.requested_rescores.question(wish.question_key or "")
        if question is None:
            raise _invalid("question_key", "is not a question")
        if wish.scope is not RescoreScope.RECOMMENDATIONS and not wish.scope.covers(question.kind):
            raise _invalid("scope", f"does not cover a question of kind {question.kind}")
        return question.id


def stop_message(stop_reason: str | None) -> str | None:
    """Return why a computation ended early, as a sentence; None if it did not."""
    if stop_reason is None:
        return None
    known = {str(reason): reason.text for reason in DegradedReason}
    return known.get(
        stop_reason, "An internal error stopped the computation. The failed run in Temporal names the cause."
    )


async def csv_of(queries: RescoreQueries, rescore_id: UUID, outcome: str | None) -> AsyncIterator[bytes]:
    """Yield the differences as CSV, one row per assessment and item. Only one page is in memory."""
    yield csv_lines([COLUMNS])
    after = None
    while page := await queries.differences(rescore_id, outcome=outcome, after=after, limit=CSV_PAGE):
        yield csv_lines([cells for view in page for cells in _rows(view)])
        after = page[-1].assessment_id


def _rows(view: DifferenceView) -> Iterator[tuple[str, ...]]:
    """Return a row per item, or one row without item columns."""
    for item in view.difference["items"] or [{}]:
        yield tuple(map(csv_cell, _values(view, item)))


def _values(view: DifferenceView, item: Mapping[str, Any]) -> Iterator[object]:
    difference = view.difference
    yield from (view.assessment_id, view.user_id, view.revision, view.outcome, view.status)
    yield from (view.skip_reason, view.applied_revision, view.old_points, view.new_points)
    yield from (item.get(name) for name in COLUMNS[9:14])
    yield from (_levels(item.get(name)) for name in ("old_levels", "new_levels"))
    yield item.get("not_comparable") or difference.get("problem")
    yield "; ".join(f"{each['skill']}: {_share(each, 'old')} to {_share(each, 'new')}" for each in difference["skills"])
    for name in ("credentials_in", "credentials_out"):
        yield "; ".join(each["title"] for each in difference[name])
    for name in ("reached_targets", "missed_targets"):
        yield "; ".join(difference[name])


def _share(skill: Mapping[str, Any], side: str) -> str:
    score, target = skill[f"{side}_score"], skill[f"{side}_target"]
    return f"{'unknown' if score is None else score} (target {'none' if target is None else target})"


def _levels(levels: Mapping[str, str] | None) -> str | None:
    return json.dumps(levels, ensure_ascii=False) if levels else None


def _invalid(field: str, problem: str) -> InvalidInput:
    return InvalidInput("The request is not valid", (Problem(field, problem),))
