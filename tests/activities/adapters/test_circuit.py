"""When a circuit opens, and how it closes again."""

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
    """Make a call that ends in the error, which the circuit must raise again."""
    with suppress(type(error)) if error else nullcontext(), circuit.entered():
        if error is not None:
            raise error


async def opened(open_s: float) -> Circuit:
    """A circuit that was opened and is now half-open."""
    circuit = a_circuit(open_s=open_s)
    for _ in range(3):
        call(circuit, Away())
    await asyncio.sleep(2 * open_s)
    return circuit


def test_consecutive_failures_open_the_circuit() -> None:
    circuit = a_circuit()
    for _ in range(3):
        call(circuit, Away())

    with pytest.raises(CircuitOpen) as refused:
        call(circuit)

    assert 0 < refused.value.retry_after_s <= 60


@pytest.mark.parametrize("between", [None, Refused()])
def test_a_success_between_failures_keeps_the_circuit_closed(between: Exception | None) -> None:
    circuit = a_circuit()

    for error in (Away(), Away(), between, Away(), Away(), None):
        call(circuit, error)


def test_error_responses_and_cancelled_calls_do_not_open_the_circuit() -> None:
    circuit = a_circuit()

    for error in [Refused(), asyncio.CancelledError()] * 5:
        call(circuit, error)
    call(circuit)


async def test_a_half_open_circuit_allows_one_call_and_closes_after_its_success() -> None:
    circuit = await opened(0.01)

    with circuit.entered(), pytest.raises(CircuitOpen):
        call(circuit)
    call(circuit)


async def test_an_error_response_closes_a_half_open_circuit() -> None:
    circuit = await opened(0.01)

    call(circuit, Refused())
    call(circuit)


@pytest.mark.parametrize("error", [Away(), asyncio.CancelledError()])
async def test_a_trial_call_that_fails_or_is_cancelled_opens_the_circuit_again(error: BaseException) -> None:
    circuit = await opened(0.5)

    call(circuit, error)

    with pytest.raises(CircuitOpen):
        call(circuit)


def test_rejected_calls_do_not_extend_the_traceback() -> None:
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
