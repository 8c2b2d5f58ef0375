"""With Weaviate configured but failing, PostgreSQL answers and the result is marked as degraded."""

import asyncio
import traceback
from collections.abc import Callable, Sequence

import pytest
from purgatory.domain.model import OpenedState

from domain.errors import ExternalServiceError, InvalidInput, StorageUnavailable
from domain.grading.scores import DegradedReason
from domain.recommending.ports import SearchQuery, SearchResult
from persistence.vectors.fallback import FAILURES, FallbackIndex
from tests.persistence.index_stores import credential, towards
from tests.support.fake_search import InMemoryCredentialIndex

QUERY = SearchQuery(text="anything", vector=towards(0))
PREFERRED, SPARE = credential("preferred"), credential("spare")


class Preferred(InMemoryCredentialIndex):
    """An index that runs `work` before each search and counts its searches."""

    def __init__(self, work: Callable[[], None] = lambda: None, takes_s: float = 0) -> None:
        super().__init__([PREFERRED])
        self.work = work
        self.takes_s = takes_s
        self.searches = 0

    async def search(self, queries: Sequence[SearchQuery], *, limit: int) -> SearchResult:
        self.searches += 1
        self.work()
        await asyncio.sleep(self.takes_s)
        return await super().search(queries, limit=limit)


class Wholeness:
    """A check of the index with call counts of the check and of the repair."""

    def __init__(self, *, whole: bool = True, engine_down: bool = False) -> None:
        self.whole = whole
        self.asked = 0
        self.repairs = 0
        self._engine_down = engine_down

    async def check(self) -> bool:
        self.asked += 1
        return self.whole

    async def repair(self) -> None:
        self.repairs += 1
        if self._engine_down:
            raise ExternalServiceError("The workflow engine did not take the call")


def an_index(
    primary: Preferred, wholeness: Wholeness | None = None, *, checked_for_s: float = 30, deadline_s: float = 60
) -> FallbackIndex:
    wholeness = wholeness or Wholeness()
    return FallbackIndex(
        primary,
        InMemoryCredentialIndex([SPARE]),
        is_whole=wholeness.check,
        repair=wholeness.repair,
        deadline_s=deadline_s,
        checked_for_s=checked_for_s,
    )


async def searched(index: FallbackIndex) -> tuple[str, DegradedReason | None]:
    found = await index.search([QUERY], limit=1)
    names = {each.id: each.text for each in (PREFERRED, SPARE)}
    return names[found.hits[0][0].credential_id], found.degraded_reason


def failing(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


DEGRADED = ("spare", DegradedReason.VECTOR_STORE_FALLBACK)


async def test_a_working_primary_store_is_not_degraded() -> None:
    assert await searched(an_index(Preferred())) == ("preferred", None)


async def test_a_failing_store_is_replaced_and_the_reason_is_given() -> None:
    assert await searched(an_index(Preferred(failing(ExternalServiceError("away"))))) == DEGRADED


async def test_a_slow_store_is_replaced_after_the_deadline() -> None:
    assert await searched(an_index(Preferred(takes_s=60), deadline_s=0.05)) == DEGRADED


async def test_after_failures_in_a_row_the_circuit_opens() -> None:
    primary = Preferred(failing(ExternalServiceError("away")))
    index = an_index(primary)

    for _ in range(FAILURES + 3):
        assert await searched(index) == DEGRADED

    assert primary.searches == FAILURES


async def test_searches_with_an_open_circuit_keep_no_frames_in_memory() -> None:
    index = an_index(Preferred(failing(ExternalServiceError("away"))))
    for _ in range(FAILURES + 3):
        await searched(index)

    breaker = await index._breakers.get_breaker("vectors")
    with pytest.raises(OpenedState) as opened:
        breaker.context.handle_new_request()

    assert {each.f_code.co_name for each, _ in traceback.walk_tb(opened.value.__traceback__)}.isdisjoint({"search"})


async def test_a_recovered_store_is_used_again() -> None:
    primary = Preferred(failing(ExternalServiceError("away")))
    index = an_index(primary)
    await searched(index)

    primary.work = lambda: None

    assert await searched(index) == ("preferred", None)


async def test_an_incomplete_index_is_not_searched_and_its_repair_is_requested() -> None:
    primary, wholeness = Preferred(), Wholeness(whole=False)

    assert await searched(an_index(primary, wholeness)) == DEGRADED
    assert (primary.searches, wholeness.repairs) == (0, 1)


async def test_a_repair_that_cannot_be_started_changes_nothing() -> None:
    assert await searched(an_index(Preferred(), Wholeness(whole=False, engine_down=True))) == DEGRADED


async def test_a_repaired_index_is_searched_again() -> None:
    wholeness = Wholeness(whole=False)
    index = an_index(Preferred(), wholeness)
    await searched(index)

    wholeness.whole = True

    assert await searched(index) == ("preferred", None)


async def test_a_complete_index_is_not_checked_at_every_search() -> None:
    wholeness = Wholeness()
    index = an_index(Preferred(), wholeness)

    for _ in range(3):
        await searched(index)

    assert wholeness.asked == 1


async def test_it_is_checked_again_after_a_while() -> None:
    wholeness = Wholeness()
    index = an_index(Preferred(), wholeness, checked_for_s=0)
    await searched(index)

    wholeness.whole = False

    assert await searched(index) == DEGRADED


async def test_invalid_input_is_not_a_failure_of_the_store() -> None:
    primary = Preferred()
    index = an_index(primary)

    for _ in range(FAILURES + 1):
        with pytest.raises(InvalidInput):
            await index.search([QUERY], limit=0)

    assert await searched(index) == ("preferred", None)


async def test_without_the_database_the_search_fails() -> None:
    index = an_index(Preferred(failing(StorageUnavailable("away"))))

    with pytest.raises(StorageUnavailable):
        await searched(index)
