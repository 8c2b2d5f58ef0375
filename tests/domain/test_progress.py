"""The events of a run can be resumed at every point, whatever order the steps finish in."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from domain.assessments.progress import RunProgress, Transition, events_after

STEPS = ("submitted", "claimed", "rules_scored", "retrieved", "ranked", "published", "released")
DONE = RunProgress(run=1, essays=2, essays_scored=2, **dict.fromkeys(STEPS, True))

histories = st.permutations([*STEPS[2:5], "essay", "essay"]).map(lambda middle: [*STEPS[:2], *middle, "published"])


def states(history: list[str]) -> list[RunProgress]:
    """Return the progress before the first step and after each one."""
    found = [RunProgress(run=1, essays=2)]
    for step in history:
        last = found[-1]
        if step == "essay":
            found.append(replace(last, essays_scored=last.essays_scored + 1))
        elif step == "published":  # without a review, the result is released at once
            found.append(replace(last, published=True, released=True))
        else:
            found.append(replace(last, **{step: True}))
    return found


def test_a_new_client_reads_all_transitions_in_order() -> None:
    events = [event.transition for event in events_after(None, DONE)]

    assert events == [
        Transition.SUBMITTED,
        Transition.CLAIMED,
        Transition.RULES_SCORED,
        Transition.ESSAY_SCORED,
        Transition.ESSAY_SCORED,
        Transition.RETRIEVED,
        Transition.RANKED,
        Transition.PUBLISHED,
        Transition.RELEASED,
    ]


@given(history=histories, cuts=st.lists(st.integers(0, 8), max_size=4))
def test_a_client_that_reconnects_anywhere_misses_nothing_and_reads_nothing_twice(
    history: list[str], cuts: list[int]
) -> None:
    reached = states(history)
    last, seen, numbers = None, [], []

    for place in [*sorted(cuts), len(reached) - 1]:
        for event in events_after(last, reached[place]):
            last = event.progress.number
            seen.append(event.transition)
            numbers.append(last)

    assert sorted(seen) == sorted(event.transition for event in events_after(None, DONE))
    assert numbers == sorted(set(numbers))


@given(history=histories, cut=st.integers(1, 8), stop=st.integers(0, 9))
def test_a_client_that_stops_between_two_events_reads_the_rest_later(history: list[str], cut: int, stop: int) -> None:
    reached = states(history)
    first = list(events_after(None, reached[cut]))[:stop]

    last = first[-1].progress.number if first else None
    rest = list(events_after(last, reached[-1]))

    assert sorted(event.transition for event in (*first, *rest)) == sorted(
        event.transition for event in events_after(None, DONE)
    )


@given(last=st.integers(0, 2**53))
def test_a_number_that_the_run_has_not_reached_reads_everything(last: int) -> None:
    submitted = RunProgress(run=7, submitted=True)

    events = list(events_after(last, submitted))

    assert [event.transition for event in events] in ([Transition.SUBMITTED], [])
    assert events or last == submitted.number


def test_a_rerun_begins_again_with_higher_numbers() -> None:
    failed = RunProgress(run=1, submitted=True, claimed=True, failed=True)
    again = RunProgress(run=2, submitted=True)

    events = list(events_after(failed.number, again))

    assert [event.transition for event in events] == [Transition.SUBMITTED]
    assert events[0].progress.number > failed.number


def test_a_held_result_is_in_review_until_it_is_released() -> None:
    held = replace(DONE, released=False)

    before = list(events_after(None, held))
    after = list(events_after(before[-1].progress.number, DONE))

    assert (before[-1].transition, held.is_final) == (Transition.IN_REVIEW, False)
    assert [event.transition for event in after] == [Transition.RELEASED]
