"""Sets for recommendations are read or rejected by line, and the figures are correct."""

from pathlib import Path

import numpy as np
import pytest

from domain.errors import InvalidInput
from tests.evaluation.bm25 import Bm25
from tests.evaluation.leave_last_out import a_world, cases, measure, measure_calibration
from tests.evaluation.ranking_metrics import calibration_error, estimate, ndcg, recall
from tests.evaluation.recommendation_sets import Document, Reaction, read_folder
from tests.evaluation.retrieval import best, embedded_text
from tests.support.fake_search import FakeEmbedder

DOCUMENTS = "id,title,text\na,Joins,Join tables.\nb,Charts,Choose charts.\n"
QUERIES = "query,relevant\ntables,a|b\ncharts,b\n"
REACTIONS = "learner,credential,time,rating\nx,a,1,5\nx,b,2026-01-02T10:00:00Z,2\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in {"documents": DOCUMENTS, "queries": QUERIES, "reactions": REACTIONS}.items():
        (tmp_path / f"{name}.csv").write_text(text)
    return tmp_path


def test_a_folder_is_read(folder: Path) -> None:
    found = read_folder(str(folder))

    assert [each.words for each in found.documents] == ["Joins. Join tables.", "Charts. Choose charts."]
    assert [each.relevant for each in found.queries] == [{"a", "b"}, {"b"}]
    assert [each.rating for each in found.reactions] == [5, 2]


def test_reactions_need_no_documents(folder: Path) -> None:
    (folder / "documents.csv").unlink()
    (folder / "queries.csv").unlink()

    assert len(read_folder(str(folder)).reactions) == 2


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("documents", "id\na\n", "header has no column text"),
        ("documents", "id,text\n", "has no rows"),
        ("documents", "id,text\na,one\na,two\n", "line 3 needs a unique id"),
        ("documents", "id,text\na,\n", "line 2 has no text"),
        ("queries", "query,relevant\njoins,c\n", "line 2 names ids missing in documents.csv: c"),
        ("queries", "query,relevant\njoins,\n", "line 2 names no relevant document"),
        ("queries", "query,relevant\n,a\n", "line 2 has no query"),
        ("reactions", "learner,credential,time\nx,a,1\n", "header has no column rating"),
        ("reactions", "learner,credential,time,rating\nx,a,soon,5\n", "line 2 needs a time"),
        ("reactions", "learner,credential,time,rating\nx,a,1,6\n", "line 2 needs a rating from 1 to 5"),
        ("reactions", "learner,credential,time,rating\nx,a,1,nan\n", "line 2 needs a rating from 1 to 5"),
        ("reactions", "learner,credential,time,rating\nx,c,1,5\n", "line 2 names ids missing in documents.csv: c"),
        ("reactions", "learner,credential,time,rating\n,a,1,5\n", "line 2 needs a learner and a credential"),
        ("reactions", "learner,credential,time,rating\nx,a,1,5,7\n", "line 2 has more cells than the header"),
    ],
)
def test_a_files_problems_are_listed_by_line(folder: Path, file: str, text: str, problem: str) -> None:
    (folder / f"{file}.csv").write_text(text)

    with pytest.raises(InvalidInput, match=problem):
        read_folder(str(folder))


@pytest.mark.parametrize("missing", [("documents",), ("queries", "reactions")])
def test_a_folder_that_lacks_files_is_refused(folder: Path, missing: tuple[str, ...]) -> None:
    for name in missing:
        (folder / f"{name}.csv").unlink()

    with pytest.raises(InvalidInput, match=r"\.csv"):
        read_folder(str(folder))


def test_a_path_that_is_not_a_folder_is_rejected() -> None:
    with pytest.raises(InvalidInput, match="is not a folder"):
        read_folder("")


def test_ndcg_is_one_if_the_relevant_ids_come_first_and_lower_otherwise() -> None:
    assert ndcg(["a", "b", "c"], {"a", "b"}) == pytest.approx(1)
    assert ndcg(["c", "a"], {"a"}) == pytest.approx(0.6309, abs=1e-4)
    assert ndcg([], {"a"}) == 0


def test_recall_counts_only_the_first_ten() -> None:
    assert recall([*"abcdefghijk"], {"a", "k"}) == 0.5


def test_an_interval_holds_the_mean_and_is_the_same_every_time() -> None:
    found = estimate([0.0, 1.0, 1.0, 0.0, 1.0])

    assert found.low < found.value < found.high
    assert found == estimate([0.0, 1.0, 1.0, 0.0, 1.0])


def test_the_calibration_error_of_true_probabilities_is_zero() -> None:
    assert calibration_error([(0.75, True), (0.75, True), (0.75, True), (0.75, False)]).value == 0
    assert calibration_error([(0.9, False)] * 4).value == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("document", "embedded"),
    [
        (Document(id="a", title="", text="Join tables."), "Join tables."),
        (Document(id="a", title="Joins", text=""), "Joins"),
        (Document(id="a", title="Joins", text="Join tables."), "Joins\nJoin tables."),
        (Document(id="a", title="Joins", text="Join tables.", skills=("SQL",)), "Joins\nJoin tables. Skills: SQL."),
    ],
)
def test_a_document_is_embedded_without_placeholders(document: Document, embedded: str) -> None:
    assert embedded_text(document) == embedded


def test_rare_words_count_more_than_common_ones() -> None:
    assert best(Bm25(["sql joins", "sql windows", "sql sums"]).scores("sql windows"), ["a", "b", "c"])[0] == "b"


def test_ties_keep_the_order_of_the_documents() -> None:
    assert best(np.zeros(3), ["c", "a", "b"]) == ["c", "a", "b"]
    assert best(np.array([1.0, 0.0, 1.0, 2.0]), ["c", "a", "b", "d"], at_most=2) == ["d", "c"]


def a_reaction(learner: str, credential: str, time: float, rating: float = 5) -> Reaction:
    return Reaction(learner=learner, credential=credential, time=time, rating=rating)


def test_the_last_liked_credential_and_later_reactions_are_hidden() -> None:
    (case,) = cases([a_reaction("x", "b", 2), a_reaction("x", "a", 1), a_reaction("x", "c", 3, 2)])

    assert case.hidden.credential == "b"
    assert [each.credential for each in case.earlier] == ["a"]


def test_a_learner_without_a_liked_credential_is_no_case() -> None:
    assert cases([a_reaction("x", "a", 1, 3)]) == []


async def test_similar_neighbours_find_the_hidden_credential() -> None:
    alike = [a_reaction(f"l{n}", each, time) for n in range(6) for time, each in enumerate("abc" if n else "ab")]
    other = [a_reaction(f"m{n}", f"z{place}", place) for n in range(9) for place in range(20)]
    world = await a_world((), alike + other, FakeEmbedder())

    figures = {each.system: each for each in measure(world)}

    assert figures.keys() == {"popularity", "BM25 only", "vectors only", "UserKNN", "ItemKNN", "ours"}
    assert figures["ours"].hit_rate.value > figures["popularity"].hit_rate.value


async def test_calibration_lowers_the_error_for_other_learners() -> None:
    reactions = [
        a_reaction(f"l{n}", credential, time, rating)
        for n in range(80)
        for time, (credential, rating) in enumerate([("a", 5), (f"b{n % 7}", 4), ("c", 5)])
    ]
    world = await a_world((), reactions, FakeEmbedder())

    found = measure_calibration(world)

    assert found.learnt_from == found.reactions == 80
    assert found.calibrated.value < found.uncalibrated.value
