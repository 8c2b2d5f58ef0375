"""The turns of rows that are checked without the engine's index."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.sweeping import Turn
from domain.sweeps import Concern


@given(id_=st.uuids(), concern=st.sampled_from(Concern), first=st.integers(0, 59))
def test_each_row_has_one_turn_in_an_hour_of_sweeps(id_: UUID, concern: Concern, first: int) -> None:
    minutes = concern.interval_factor
    sweeps = [(first + minutes * number) % 60 for number in range(60 // minutes)]

    turns = [Turn(minute=minute, minutes=minutes).has(id_) for minute in sweeps]

    assert turns.count(True) == 1


@pytest.mark.parametrize("minutes", [1, 5])
def test_a_minute_outside_the_hour_is_the_turn_of_no_row(minutes: int) -> None:
    assert not any(Turn(minute=-1, minutes=minutes).has(UUID(int=number)) for number in range(60))
