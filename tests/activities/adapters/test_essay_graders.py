"""The contract of every essay grader."""

import pytest

from activities.adapters.local_grader.grader import LocalEssayGrader
from domain.grading.ports import EssayGrader
from domain.grading.rubrics import check_essay_score
from tests.activities.adapters.local_grader_builders import BEST, FAIR, GOOD, RUBRIC, WEAK, an_essay
from tests.domain.builders import essay
from tests.support.fake_graders import FakeEssayGrader
from tests.support.fake_search import FakeEmbedder


@pytest.fixture(params=["fake", "local"])
def grader(request: pytest.FixtureRequest) -> EssayGrader:
    return FakeEssayGrader() if request.param == "fake" else LocalEssayGrader(FakeEmbedder())


async def test_scores_come_in_the_order_of_the_essays(grader: EssayGrader) -> None:
    essays = [an_essay(GOOD, name="b"), an_essay(WEAK, name="a"), an_essay(FAIR, essay(), name="c", version="v2")]

    scores = await grader.grade(essays)

    assert [score.snapshot_id for score in scores] == [each.snapshot_id for each in essays]


async def test_no_essay_gives_no_score(grader: EssayGrader) -> None:
    assert await grader.grade([]) == []


@pytest.mark.parametrize("text", [WEAK, FAIR, BEST, "Hm.", "zxcv qwer " * 30])
async def test_levels_and_points_are_the_rubrics(grader: EssayGrader, text: str) -> None:
    (score,) = await grader.grade([an_essay(text)])

    check_essay_score(RUBRIC, score)
    assert score.points is not None


async def test_without_labelled_answers_it_abstains(grader: EssayGrader) -> None:
    (score,) = await grader.grade([an_essay(GOOD, essay(), labelled=())])

    check_essay_score(essay(), score)
    assert (score.points, score.fraction, score.ratings) == (None, None, ())
    assert score.needs_review


async def test_a_score_names_its_rubric_and_that_no_language_model_made_it(grader: EssayGrader) -> None:
    (score,) = await grader.grade([an_essay(GOOD)])

    assert score.rubric_version == "v1"
    assert score.model.startswith("local-")
    assert not score.graded_by_model
    assert score.degraded_reason is None
