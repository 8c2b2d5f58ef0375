from domain.recommending.calibration import UNCALIBRATED
from domain.recommending.recommendations import EarlierLearners, OtherLearners, Reactions
from tests.domain.builders import an_id

ONE, OTHER, UNKNOWN = (an_id(name) for name in ("one", "other", "unknown"))
EVERYBODY = OtherLearners(
    earlier=EarlierLearners(ids=["a", "b"], learners=[str(ONE), str(OTHER)], scores={"SQL": [0.1, 0.2]}),
    reactions=Reactions(learners=[str(ONE), str(ONE), str(OTHER)], credentials=["x", "y", "x"], ratings=[1, 2, 3]),
    calibration=UNCALIBRATED,
)


def test_a_learner_is_left_out_of_all_columns() -> None:
    others = EVERYBODY.without(ONE)

    assert others.earlier == EarlierLearners(ids=["b"], learners=[str(OTHER)], scores={"SQL": [0.2]})
    assert others.reactions == Reactions(learners=[str(OTHER)], credentials=["x"], ratings=[3])


def test_for_a_learner_who_is_not_among_them_the_columns_are_not_copied() -> None:
    others = EVERYBODY.without(UNKNOWN)

    assert others.earlier is EVERYBODY.earlier
    assert others.reactions is EVERYBODY.reactions
