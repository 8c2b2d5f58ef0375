"""The back-off between the starts of a service."""

from deploy.local.restarts import EARLY_EXIT_S, EARLY_EXITS, LONGEST_PAUSE_S, STABLE_AFTER_S, Restarts


def test_the_pause_doubles_up_to_the_longest() -> None:
    restarts = Restarts()

    pauses = [restarts.pause_after(EARLY_EXIT_S) for _ in range(9)]

    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_PAUSE_S, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_a_process_that_ran_long_enough_resets_the_pause() -> None:
    restarts = Restarts()
    for _ in range(4):
        restarts.pause_after(EARLY_EXIT_S)

    assert restarts.pause_after(STABLE_AFTER_S) == 0.5


def test_early_exits_in_a_row_end_the_restarts() -> None:
    restarts = Restarts()

    pauses = [restarts.pause_after(0.1) for _ in range(EARLY_EXITS)]

    assert pauses == [0.5, 1.0, 2.0, 4.0, None]


def test_a_later_exit_resets_the_count_of_early_exits() -> None:
    restarts = Restarts()
    for ran_s in [0.1] * (EARLY_EXITS - 1) + [EARLY_EXIT_S]:
        restarts.pause_after(ran_s)

    assert restarts.pause_after(0.1) is not None
