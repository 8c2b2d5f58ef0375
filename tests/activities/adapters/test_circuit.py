"""When a service is left alone, and how it is found to be back."""

import asyncio
from contextlib import nullcontext, suppress

import pytest

from activities.adapters.circuit import Circuit, CircuitOpen


class Away(Exception):
    pass


class Refused(Exception):
    pass


def a_circuit(threshold: int = 3, open_s: float = 60) -> Circuit:
    return Circuit(threshold=threshold, open_s=open_s, fails=lambda error: isinstance(error, Away))


def call(circuit: Circuit, error: BaseException | None = None) -> None:
    """A call that ends in the error, which is expected to come through."""
    with suppress(type(error)) if error else nullcontext(), circuit.entered():
        if error is not None:
            raise error


async def opened(open_s: float) -> Circuit:
    """A circuit whose time of being open is over."""
    circuit = a_circuit(open_s=open_s)
    for _ in range(3):
        call(circuit, Away())
    await asyncio.sleep(2 * open_s)
    return circuit


def test_failures_in_a_row_open_it() -> None:
    circuit = a_circuit()
    for _ in range(3):
        call(circuit, Away())

    with pytest.raises(CircuitOpen) as refused:
        call(circuit)

    assert 0 < refused.value.retry_after_s <= 60


@pytest.mark.parametrize("between", [None, Refused()])
def test_an_answer_between_them_keeps_it_closed(between: Exception | None) -> None:
    circuit = a_circuit()

    for error in (Away(), Away(), between, Away(), Away(), None):
        call(circuit, error)


def test_refusals_and_cancelled_calls_do_not_open_it() -> None:
    circuit = a_circuit()

    for error in [Refused(), asyncio.CancelledError()] * 5:
        call(circuit, error)
    call(circuit)


async def test_then_one_call_tries_alone_and_closes_it() -> None:
    circuit = await opened(0.01)

    with circuit.entered(), pytest.raises(CircuitOpen):
        call(circuit)
    call(circuit)


async def test_a_refusal_closes_it_too() -> None:
    circuit = await opened(0.01)

    call(circuit, Refused())
    call(circuit)


@pytest.mark.parametrize("error", [Away(), asyncio.CancelledError()])
async def test_a_try_that_fails_or_is_cancelled_opens_it_again(error: BaseException) -> None:
    circuit = await opened(0.5)

    call(circuit, error)

    with pytest.raises(CircuitOpen):
        call(circuit)


def test_refused_calls_leave_nothing_behind() -> None:
    circuit = a_circuit(threshold=1)
    call(circuit, Away())
    depths = set()

    for _ in range(3):
        with pytest.raises(CircuitOpen) as refused:
            call(circuit)
        context = refused.value.__context__
        assert context is not None
        depths.add(context.__traceback__ is None)

    assert depths == {True}
