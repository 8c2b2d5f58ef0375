"""Retention in batches."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self
from uuid import UUID

import pytest
from temporalio.testing import ActivityEnvironment

from activities.retain import Retain, RetainInput
from domain.privacy import RetentionBatch, RetentionCursor, RetentionRule

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@dataclass
class Batches:
    """A unit of work whose rule deletes the given numbers of rows, batch by batch."""

    found: list[int]
    asked: list[tuple[RetentionRule, int, RetentionCursor | None, int]] = field(default_factory=list)

    @property
    def retention(self) -> Self:
        return self

    def statement(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def apply(
        self, rule: RetentionRule, *, days: int, after: RetentionCursor | None, limit: int
    ) -> RetentionBatch:
        self.asked.append((rule, days, after, limit))
        rows = self.found.pop(0)
        return RetentionBatch(rows=rows, cursor=cursor(len(self.asked)) if self.found else None)


def cursor(batch: int) -> RetentionCursor:
    return RetentionCursor(at=NOON, id=UUID(int=batch))


async def retain(database: Batches, days: dict[RetentionRule, int]) -> int:
    activity = Retain(database, days, batch=10)  # type: ignore[arg-type]  # as much of it as this needs
    gone: int = await ActivityEnvironment().run(activity.retain, RetainInput(rule=RetentionRule.JOBS))
    return gone


async def test_each_batch_continues_after_the_last_one_until_no_row_is_left() -> None:
    database = Batches([10, 0, 3])

    assert await retain(database, {RetentionRule.JOBS: 90}) == 13

    assert database.asked == [(RetentionRule.JOBS, 90, after, 10) for after in (None, cursor(1), cursor(2))]


@pytest.mark.parametrize("days", [{}, {RetentionRule.DENIALS: 1}])
async def test_a_rule_without_an_age_keeps_everything(days: dict[RetentionRule, int]) -> None:
    database = Batches([])

    assert await retain(database, days) == 0
    assert database.asked == []
