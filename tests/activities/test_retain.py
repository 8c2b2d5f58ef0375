"""Retention in batches."""

from dataclasses import dataclass, field
from typing import Self

import pytest
from temporalio.testing import ActivityEnvironment

from activities.retain import Retain, RetainInput
from domain.privacy import RetentionRule


@dataclass
class Batches:
    """A unit of work whose rule finds the given numbers of rows, batch by batch."""

    found: list[int]
    asked: list[tuple[RetentionRule, int, int]] = field(default_factory=list)

    @property
    def retention(self) -> Self:
        return self

    def statement(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def apply(self, rule: RetentionRule, *, days: int, limit: int) -> int:
        self.asked.append((rule, days, limit))
        return self.found.pop(0)


async def retain(database: Batches, days: dict[RetentionRule, int]) -> int:
    activity = Retain(database, days, batch=10)  # type: ignore[arg-type]  # as much of it as this needs
    gone: int = await ActivityEnvironment().run(activity.retain, RetainInput(rule=RetentionRule.JOBS))
    return gone


async def test_batches_follow_each_other_until_one_is_empty() -> None:
    database = Batches([10, 10, 3, 0])

    assert await retain(database, {RetentionRule.JOBS: 90}) == 23

    assert database.asked == [(RetentionRule.JOBS, 90, 10)] * 4


@pytest.mark.parametrize("days", [{}, {RetentionRule.DENIALS: 1}])
async def test_a_rule_without_an_age_keeps_everything(days: dict[RetentionRule, int]) -> None:
    database = Batches([])

    assert await retain(database, days) == 0
    assert database.asked == []
