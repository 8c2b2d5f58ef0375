"""The answers that the measurement of tricks takes from a labelled set."""

from pathlib import Path

from tests.evaluation.gaming import GRADED, LABELLED, cases_of
from tests.evaluation.labelled_sets import read_set


def a_set(folder: Path) -> str:
    rows = [
        f"{item},Why {item}?,Correct,{item} answer {number},{number % 3}" for item in ("a", "b") for number in range(30)
    ]
    file = folder / "set.csv"
    file.write_text("\n".join(["item,question,criterion,answer,level", *rows]))
    return str(file)


def test_each_answer_of_a_set_is_graded_by_others_to_its_question(tmp_path: Path) -> None:
    found = cases_of(read_set(a_set(tmp_path)))

    assert len(found) == 2 * GRADED
    for case in found:
        known = [answer.text for answer in case.essay.labelled]
        assert len({*known, case.essay.text}) == LABELLED + 1
        assert {text[0] for text in known} == {case.essay.text[0]}
        assert case.foreign[0] != case.essay.text[0]


def test_the_draw_of_a_set_is_the_same_in_each_run(tmp_path: Path) -> None:
    assert cases_of(read_set(a_set(tmp_path))) == cases_of(read_set(a_set(tmp_path)))
