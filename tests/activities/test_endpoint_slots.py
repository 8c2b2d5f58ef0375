"""The concurrency limit of an endpoint, and when a postponed attempt is retried."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from activities.endpoint_slots import LONGEST_S, SHORTEST_S, EndpointConcurrencyLimiter

ENDPOINT, OTHER = uuid4(), uuid4()


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def slots(clock: Clock) -> EndpointConcurrencyLimiter:
    return EndpointConcurrencyLimiter(2, clock)


@pytest.fixture
def full(slots: EndpointConcurrencyLimiter) -> Iterator[ExitStack]:
    with ExitStack() as held:
        for _ in range(2):
            held.enter_context(slots.held(ENDPOINT))
        yield held


def refusal(slots: EndpointConcurrencyLimiter) -> ApplicationError:
    with pytest.raises(ApplicationError) as refused, slots.held(ENDPOINT):
        pass
    return refused.value


def delay_s(slots: EndpointConcurrencyLimiter) -> float:
    delay = refusal(slots).next_retry_delay
    assert delay is not None
    return delay.total_seconds()


@pytest.mark.usefixtures("full")
def test_a_full_endpoint_raises_a_benign_error(slots: EndpointConcurrencyLimiter) -> None:
    refused = refusal(slots)

    assert (refused.type, refused.category) == ("EndpointBusy", ApplicationErrorCategory.BENIGN)
    assert not refused.non_retryable


@pytest.mark.usefixtures("full")
def test_a_full_endpoint_leaves_room_to_all_others(slots: EndpointConcurrencyLimiter) -> None:
    with slots.held(OTHER):
        pass


def test_an_ended_request_frees_its_slot(slots: EndpointConcurrencyLimiter, full: ExitStack) -> None:
    full.close()

    with slots.held(ENDPOINT):
        pass


@pytest.mark.usefixtures("full")
def test_postponed_attempts_get_increasing_delays(slots: EndpointConcurrencyLimiter, clock: Clock) -> None:
    clock.now += 1

    assert [delay_s(slots) for _ in range(4)] == [0.5, 1.0, 1.5, 2.0]


@pytest.mark.usefixtures("full")
def test_a_postponed_attempt_has_a_minimum_delay(slots: EndpointConcurrencyLimiter) -> None:
    assert delay_s(slots) >= SHORTEST_S


def test_a_slow_endpoint_is_asked_less_often(slots: EndpointConcurrencyLimiter, clock: Clock, full: ExitStack) -> None:
    quick = delay_s(slots)
    clock.now += 15
    full.close()
    with slots.held(ENDPOINT), slots.held(ENDPOINT):
        assert delay_s(slots) > quick


@pytest.mark.usefixtures("full")
def test_requests_that_do_not_end_count_before_they_do(slots: EndpointConcurrencyLimiter, clock: Clock) -> None:
    clock.now += 10

    assert delay_s(slots) == 5  # of two slots that are held for ten seconds each, one is free every five


@pytest.mark.usefixtures("full")
def test_a_delay_has_a_maximum(slots: EndpointConcurrencyLimiter, clock: Clock) -> None:
    clock.now += 15

    assert max(delay_s(slots) for _ in range(1000)) == LONGEST_S


def test_a_slow_endpoint_has_fewer_slots(clock: Clock) -> None:
    slots = EndpointConcurrencyLimiter(10, clock)
    with ExitStack() as held:
        for _ in range(10):
            held.enter_context(slots.held(ENDPOINT))
        clock.now += 15

    with slots.held(ENDPOINT), slots.held(ENDPOINT):
        assert refusal(slots).type == "EndpointBusy"


def test_an_endpoint_that_recovers_has_its_slots_again(clock: Clock) -> None:
    slots = EndpointConcurrencyLimiter(10, clock)
    with slots.held(ENDPOINT):
        clock.now += 15
    for _ in range(20):
        with slots.held(ENDPOINT):
            clock.now += 0.02

    with ExitStack() as held:
        for _ in range(10):
            held.enter_context(slots.held(ENDPOINT))
