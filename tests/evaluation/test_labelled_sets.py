"""Labelled sets are read, and an invalid one is rejected with a line for each problem."""

from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.assessments.questions import EssayRubric
from domain.errors import InvalidInput
from persistence.database import create_engine
from persistence.repositories.assessments import SqlAssessments
from persistence.tables import EssayReviewRow
from tests.evaluation.labelled_sets import CONTENT, read_set
from tests.support.builders import an_assessment
from tests.support.databases import settings_of

HEADER = "item,question,criterion,answer,human_1,human_2,human_3"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "answers.csv"


def test_of_several_human_scores_the_lower_median_counts(file: Path) -> None:
    file.write_text(f"{HEADER}\ni,Why?,Names it.,because,0,2,1\ni,Why?,Names it.,no,0,1,\n")

    (item,) = read_set(str(file))

    assert [dict(answer.levels) for answer in item.answers] == [{"answer": "1"}, {"answer": "0"}]
    assert [level.name for level in item.rubric.criteria[0].levels] == ["0", "1"]


def test_an_items_levels_are_those_from_its_lowest_to_its_highest_score(file: Path) -> None:
    file.write_text(
        "item,question,criterion,answer,level\n"
        "a,Why?,Names it.,because,3\na,Why?,Names it.,so,0\nb,How?,Says it.,so,0\n"
    )

    first, second = read_set(str(file))

    assert [level.name for level in first.rubric.criteria[0].levels] == ["0", "1", "2", "3"]
    assert [level.name for level in second.rubric.criteria[0].levels] == ["0", "1"]


def test_a_scale_may_start_above_0_and_have_averages_of_raters(file: Path) -> None:
    file.write_text(
        "item,question,criterion,answer,level\na,Why?,Names it.,because,2\na,Why?,Names it.,so,3.5\n"
        "b,How?,Says it.,so,12\nb,How?,Says it.,thus,10\n"
    )

    halves, whole = read_set(str(file))

    assert [level.name for level in halves.rubric.criteria[0].levels] == ["2", "2.5", "3", "3.5"]
    assert [dict(answer.levels) for answer in halves.answers] == [{"answer": "2"}, {"answer": "3.5"}]
    assert [level.name for level in whole.rubric.criteria[0].levels] == ["10", "11", "12"]


def test_a_missing_column_of_scores_is_named_once(file: Path) -> None:
    file.write_text("item,question,criterion,answer\na,Why?,Names it.,because\na,Why?,Names it.,so\n")

    with pytest.raises(InvalidInput) as error:
        read_set(str(file))

    assert str(error.value).count("has no column level or human_1") == 1


def test_the_highest_level_is_described_by_the_criterion(file: Path) -> None:
    file.write_text("item,question,criterion,answer,level\na,Why?,Names it.,because,1\n")

    (item,) = read_set(str(file))

    assert item.rubric.criteria[0].levels[-1].descriptor == "Names it."


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("item,question,answer,level\ni,Why?,because,1\n", "header has no column criterion"),
        (f"{HEADER}\n", "has no rows"),
        (f"{HEADER}\ni,Why?,Names it.,because,,,\n", "line 2 needs human scores"),
        (f"{HEADER}\ni,Why?,Names it.,because,half,,\n", "line 2 needs human scores"),
        (f"{HEADER}\ni,Why?,Names it.,because,-1,,\n", "line 2 needs human scores"),
        (f"{HEADER}\ni,Why?,Names it., ,1,,\n", "line 2 has no answer"),
        (f"{HEADER}\ni,Why?,Names it.,a,1,,\ni,How?,Names it.,b,1,,\n", "line 3 has another question"),
        (f"{HEADER}\ni,Why?,Names it.,a,1,1,1,1\n", "line 2 has more cells"),
    ],
)
def test_an_invalid_file_is_rejected_by_line(file: Path, text: str, problem: str) -> None:
    file.write_text(text)

    with pytest.raises(InvalidInput, match=problem):
        read_set(str(file))


def test_every_wrong_line_is_named(file: Path) -> None:
    file.write_text(f"{HEADER}\ni,Why?,Names it.,a,x,,\ni,Why?,Names it.,b,1,,\ni,Why?,Names it.,c,,,\n")

    with pytest.raises(InvalidInput) as refused:
        read_set(str(file))

    assert [problem.field for problem in refused.value.problems] == ["line 2", "line 4"]


def test_a_file_in_another_encoding_is_refused(file: Path) -> None:
    file.write_bytes(f"{HEADER}\ni,Why?,Names it.,\xfcber,1,,\n".encode("latin-1"))

    with pytest.raises(InvalidInput, match="UTF-8"):
        read_set(str(file))


def test_a_missing_path_is_rejected(file: Path) -> None:
    with pytest.raises(InvalidInput, match="neither a file, nor a folder"):
        read_set(str(file))


ITEMS = "domain,item,question,criteria_for_scoring,correct_answer_examples,incorrect_answer_examples\n"
LABELS = "domain,item,response,human_avg\n"


def test_a_folder_of_items_and_labels_is_read(tmp_path: Path) -> None:
    (tmp_path / "items.csv").write_text(ITEMS + "ELA,1,Meaning?,A synonym of harmful.,harmful,helpful\n")
    (tmp_path / "human_labels.csv").write_text(LABELS + "ELA,1,damaging,1\nELA,1,good,0\n")

    (item,) = read_set(str(tmp_path))

    assert item.key == "ELA 1"
    assert [(answer.text, answer.levels["answer"]) for answer in item.answers] == [
        ("damaging", "Correct"),
        ("good", "Incorrect"),
    ]
    assert [level.descriptor for level in item.rubric.criteria[0].levels] == ["helpful", "harmful"]


@pytest.mark.parametrize(("label", "problem"), [("ELA,2,good,0", "not in items.csv"), ("ELA,1,good,2", "human_avg")])
def test_labels_that_fit_no_item_are_refused(tmp_path: Path, label: str, problem: str) -> None:
    (tmp_path / "items.csv").write_text(ITEMS + "ELA,1,Meaning?,A synonym of harmful.,harmful,helpful\n")
    (tmp_path / "human_labels.csv").write_text(f"{LABELS}{label}\n")

    with pytest.raises(InvalidInput, match=problem):
        read_set(str(tmp_path))


def test_a_folder_without_the_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_set(str(tmp_path))


def test_the_default_set_is_the_projects_labelled_answers() -> None:
    items = read_set("")

    assert CONTENT.is_dir()
    assert all(item.own and len(item.answers) > 1 and not item.rubric.anchors for item in items)
    assert len(items) == len({item.key for item in items}) > 1


async def test_reviews_are_read_with_the_newest_levels(clean_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", clean_database)
    engine = create_engine(settings_of(clean_database))
    async with AsyncSession(engine) as session:
        assessment = await an_assessment(session, status="completed", revision=1)
        item = (await SqlAssessments(session).items(assessment.id))[-1]
        assert isinstance(item.question.rubric, EssayRubric)
        criteria = item.question.rubric.criteria
        for place in (0, 1):
            row = {"id": uuid4(), "assessment_id": assessment.id, "question_snapshot_id": item.snapshot_id}
            levels = {criterion.key: criterion.levels[place].name for criterion in criteria}
            await session.execute(insert(EssayReviewRow).values(**row, reviewer_id=assessment.user_id, levels=levels))
            await session.commit()
    await engine.dispose()

    (found,) = read_set("reviews")

    assert [dict(answer.levels) for answer in found.answers] == [levels]
    assert (found.answers[0].text, found.rubric) == (item.answer, item.question.rubric)
