"""`make evaluate`: its variables, its output, and when it fails."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from domain.errors import InvalidInput
from tests.evaluation.answers import judged_all
from tests.evaluation.baseline import read
from tests.evaluation.evaluate import compared, embed, planned, texts_of
from tests.evaluation.graders import OnceEmbedder
from tests.evaluation.labelled_sets import read_set
from tests.evaluation.runs import Run, a_run
from tests.evaluation.trials import Protocol, questions
from tests.support.fake_completions import unproven, where
from tests.support.model_server import KEY, ModelServer

CHECKOUT = Path(__file__).parents[2]
CSV = """item,question,criterion,answer,level
shop,Why did revenue fall?,Names the join.,The join doubles all of the orders.,1
shop,Why did revenue fall?,Names the join.,It was a holiday in the whole of the country.,0
shop,Why did revenue fall?,Names the join.,Nobody can know such a thing.,0
"""


def command(directory: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command on three answers; it writes its reports to the directory."""
    (directory / "answers.csv").write_text(CSV)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "ESSAY_"))}
    return subprocess.run(
        [sys.executable, "-m", "tests.evaluation.evaluate"],
        cwd=CHECKOUT,
        env=clean | {"DATA": str(directory / "answers.csv"), "REPORTS": str(directory)} | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_language_model_is_evaluated_over_http(tmp_path: Path) -> None:
    with ModelServer(where({"Nobody can": unproven})) as server:
        ran = command(tmp_path, GRADER="openai", ATTACKS="2", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.base_url)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "3 answers to grade, with at most 40 calls for at most 0." in ran.stdout
    (run,) = json.loads((tmp_path / "evaluate.json").read_text())["runs"]
    assert run["about"]["answers"] == {"first": 2, "rejected": 1}
    assert (run["about"]["injection"]["attacks"], run["about"]["injection"]["mean gain"]) == (2, 0)
    assert (run["overall"]["exact"], run["overall"]["to_review"]) == (0.5, 0.3333)
    assert ET.parse(tmp_path / "evaluate.svg").getroot().tag.endswith("svg")  # noqa: S314  # our own file


def test_local_graders_are_evaluated_in_one_run(tmp_path: Path) -> None:
    ran = command(tmp_path, GRADER="local,ridge", K="2", SPLITS="2")

    assert ran.returncode == 0, ran.stdout + ran.stderr
    local, ridge = json.loads((tmp_path / "evaluate.json").read_text())["runs"]
    assert local["name"] == "answers.csv: local K=2 SPLITS=2"
    # With two labelled answers the local grader abstains; the baseline grades anyway.
    assert (local["overall"]["abstained"], ridge["overall"]["abstained"]) == (1.0, 0.0)
    assert local["overall"]["kappa"] == {"value": None, "low": None, "high": None}


class CountingEmbedder:
    """An embedder that counts texts and embeds each text as its length."""

    model = "counting"

    def __init__(self) -> None:
        self.calls: list[int] = []

    async def embed_long(self, texts: Sequence[str]) -> list[list[float]]:
        self.calls.append(len(texts))
        return [[float(len(text))] for text in texts]


@pytest.mark.parametrize(
    ("protocol", "used"),
    [
        (Protocol(shown=2, splits=1, graded=1), 3),
        (Protocol(shown=1, splits=1), 40),
        (Protocol(shown=None, graded=1), 40),
    ],
)
def test_only_answers_that_are_graded_or_shown_are_embedded(tmp_path: Path, protocol: Protocol, used: int) -> None:
    rows = [f"shop,Why?,Names the join.,Answer {each} of many.,{each % 2}" for each in range(40)]
    (tmp_path / "answers.csv").write_text("\n".join([CSV.splitlines()[0], *rows]))
    (item,) = read_set(str(tmp_path / "answers.csv"))

    assert len(texts_of([list(questions(item, protocol))])) == used


async def test_progress_is_reported_while_answers_are_embedded(capsys: pytest.CaptureFixture[str]) -> None:
    counting = CountingEmbedder()

    await embed(OnceEmbedder(counting), [f"Answer {each}" for each in range(40)])

    assert counting.calls == [32, 8]
    assert capsys.readouterr().err.splitlines() == ["embedded 32 of 40 answers", "embedded 40 of 40 answers"]


def test_a_language_model_without_a_key_is_refused(tmp_path: Path) -> None:
    ran = command(tmp_path, GRADER="openai")

    assert (ran.returncode, ran.stdout) == (
        2,
        "A model of OpenAI or of a compatible endpoint needs OPENAI_API_KEY\n",
    )


@pytest.mark.parametrize(
    ("variables", "problem"),
    [
        ({"GRADER": "oracle"}, "GRADER must be one of"),
        ({"GRADER": "openai", "K": "4"}, "Remove K"),
        ({"K": "0"}, "K must be"),
        ({"K": "4,"}, "K must be"),
        ({"SPLITS": "many"}, "SPLITS must be"),
        ({"N": "-1"}, "N must be"),
        ({"BASELINE": "yes"}, "BASELINE must be"),
    ],
)
def test_invalid_variables_are_rejected(variables: Mapping[str, str], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        planned(variables)


def test_empty_variables_count_as_missing() -> None:
    assert planned({"GRADER": "", "K": "", "SPLITS": "", "N": "", "BASELINE": "", "DATA": ""}) == planned({})


def test_graders_and_numbers_of_answers_are_separated_by_commas() -> None:
    plan = planned({"GRADER": "local,ridge", "K": "4,all", "SPLITS": "3"})

    assert plan.graders == ("local", "ridge")
    assert [(each.shown, each.splits) for each in plan.protocols] == [(4, 3), (None, 3)]


RIGHT = [(0, 0), (1, 1), (0, 0), (1, 1)]


def run_of(*pairs: tuple[int, int], name: str = "a set: a grader") -> Run:
    return a_run(name, name, {}, judged_all(pairs))


def test_a_figure_without_a_baseline_is_no_regression(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    compared([run_of((1, 1), (1, 1))], update=True, path=path)

    assert compared([run_of((1, 1), (1, 1))], update=False, path=path) == []


def test_figures_worse_than_the_baseline_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    compared([run_of(*RIGHT)], update=True, path=path)

    worse = compared([run_of((0, 1), *RIGHT[1:])], update=False, path=path)

    assert "a set: a grader: exact: 0.750, and 1.000 before" in worse


def test_the_same_figures_are_no_regression(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    compared([run_of(*RIGHT)], update=True, path=path)

    assert compared([run_of(*RIGHT)], update=False, path=path) == []


def test_a_missing_figure_is_a_regression(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    compared([run_of(*RIGHT)], update=True, path=path)

    worse = compared([run_of((1, 1), (1, 1))], update=False, path=path)

    assert "a set: a grader: kappa: nan, and 1.000 before" in worse


def test_runs_without_a_baseline_are_not_compared(tmp_path: Path) -> None:
    assert compared([run_of(*RIGHT)], update=False, path=tmp_path / "baseline.json") == []


def test_an_update_keeps_other_runs(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    compared([run_of(*RIGHT, name="one")], update=True, path=path)
    compared([run_of(*RIGHT, name="other")], update=True, path=path)

    assert [*read(path)] == ["one", "other"]
