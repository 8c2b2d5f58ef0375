"""`make evaluate-recommendations`: measure search and recommendations and compare them with plain baselines.

DATA   a folder of CSV files; `recommendation_sets` describes the format, `esco` creates one from public data
STORE  `pgvector` (default) or `weaviate`: the store of the measured search

It prints tables and writes `.local/reports/evaluate-recommendations.json`. Vectors are cached in `.local/vectors`. The
95 % intervals estimate the variation with other queries or learners of the same kind. Only the resampling is random,
with a fixed seed.
"""

import asyncio
import os
from collections.abc import Sequence
from typing import Final

from activities.adapters.minilm.embedder import MiniLMEmbedder, MiniLMSettings
from domain.errors import AppError, InvalidInput
from tests.benchmarks import report
from tests.evaluation import leave_last_out, retrieval
from tests.evaluation.cached_vectors import CachedVectors
from tests.evaluation.leave_last_out import CalibrationFigures, RecommendingFigures
from tests.evaluation.ranking_metrics import Estimate
from tests.evaluation.recommendation_sets import RecommendationSet, read_folder
from tests.evaluation.retrieval import RetrievalFigures
from tests.evaluation.runs import plain
from workflows.engine.process_exit import run_and_leave

COMMAND: Final = "evaluate-recommendations"
STORES: Final = ("pgvector", "weaviate")
BAD_INPUT: Final = 2


async def evaluate(found: RecommendationSet, store: str) -> dict[str, object]:
    """Compute and print all figures, and return them."""
    minilm = MiniLMEmbedder(MiniLMSettings())
    embedder = CachedVectors(minilm)
    figures: dict[str, object] = {}
    try:
        if found.queries:
            searches = await retrieval.measure(found.documents, found.queries, embedder, store)
            report.say("\n" + _searches(searches))
            figures["retrieval"] = plain(searches)
        if found.reactions:
            report.say("\nrecommending to each learner")
            world = await leave_last_out.a_world(found.documents, found.reactions, embedder)
            if not world.cases:
                raise InvalidInput("reactions.csv has no rating of 4 or 5, so no credential can be hidden")
            recommended = leave_last_out.measure(world)
            calibration = leave_last_out.measure_calibration(world)
            report.say("\n" + _recommended(recommended, calibration))
            figures |= {"recommending": plain(recommended), "calibration": plain(calibration)}
    finally:
        minilm.close()
    return figures


def _searches(found: Sequence[RetrievalFigures]) -> str:
    rows = [[each.system, each.queries, *_estimate(each.ndcg), *_estimate(each.recall)] for each in found]
    return report.table(["search", "queries", "nDCG@10", "95 %", "recall@10", "95 %"], rows)


def _recommended(found: Sequence[RecommendingFigures], calibration: CalibrationFigures) -> str:
    columns = ["recommending", "learners", "HR@10", "95 %", "nDCG@10", "95 %", "coverage", "diversity", "95 %"]
    columns += ["cold", "HR@10", "95 %", "nDCG@10", "95 %"]
    rows = [
        [
            each.system,
            each.learners,
            *_estimate(each.hit_rate),
            *_estimate(each.ndcg),
            f"{each.coverage:.3f}",
            *_estimate(each.diversity),
            each.cold_learners,
            *_estimate(each.cold_hit_rate),
            *_estimate(each.cold_ndcg),
        ]
        for each in found
    ]
    before, after = (" (95 % ".join(_estimate(each)) for each in (calibration.uncalibrated, calibration.calibrated))
    error = f"expected calibration error over {calibration.reactions} reactions: {before})"
    return f"{report.table(columns, rows)}\n\n{error}, {after}) calibrated on {calibration.learnt_from:g} others"


def _estimate(found: Estimate) -> tuple[str, str]:
    return f"{found.value:.3f}", f"{found.low:.2f}..{found.high:.2f}"


def main() -> int:
    data, store = os.environ.get("DATA", ""), os.environ.get("STORE") or STORES[0]
    try:
        if store not in STORES:
            raise InvalidInput(f"STORE must be {' or '.join(STORES)}; got {store}")
        figures = asyncio.run(evaluate(read_folder(data), store))
    except AppError as error:
        report.say(error.message)
        return BAD_INPUT
    report.say(f"\nWritten to {report.write(COMMAND, {'data': data, **figures})}")
    return 0


if __name__ == "__main__":
    run_and_leave(main)
