from dataclasses import replace
from decimal import Decimal

import pytest

from domain.assessments.results import OverallScore, Result
from domain.grading.scores import DegradedReason, EssayScore
from domain.recommending.recommendations import Blend, Evidence
from tests.domain.builders import abstention, essay_score, rating, rule_score


def a_result(*essays: EssayScore, retrieval: DegradedReason | None = None) -> Result:
    evidence = Evidence(
        gaps=(), traces=(), latency_ms=1, embedding_provider="local", embedding_model="m", degraded_reason=retrieval
    )
    return Result(rule_scores=(), essay_scores=essays, evidence=evidence, blend=Blend(items=(), weights={}, summary=""))


def test_each_degraded_reason_is_named_once() -> None:
    local = replace(essay_score(), degraded_reason=DegradedReason.ESSAY_GRADER_LOCAL)
    assert a_result(local, local, retrieval=DegradedReason.VECTOR_STORE_FALLBACK).degraded_reasons == (
        DegradedReason.ESSAY_GRADER_LOCAL,
        DegradedReason.VECTOR_STORE_FALLBACK,
    )


def test_a_result_without_a_degraded_part_is_not_degraded() -> None:
    assert a_result(essay_score()).degraded_reasons == ()


def test_the_overall_score_is_the_share_of_all_points() -> None:
    result = replace(a_result(essay_score(rating("cause", "Strong", 4))), rule_scores=(rule_score("r", "0.5", "2"),))

    assert result.overall == OverallScore(
        points=Decimal(5), max_points=Decimal(12), share=Decimal("0.4167"), ungraded=0
    )


def test_an_ungraded_essay_is_not_in_the_overall_score() -> None:
    overall = a_result(essay_score(rating("cause", "Strong", 4)), abstention()).overall

    assert (overall.share, overall.max_points, overall.ungraded) == (Decimal("0.4"), Decimal(10), 1)


def test_without_points_there_is_no_share() -> None:
    assert a_result(abstention()).overall == OverallScore(
        points=Decimal(0), max_points=Decimal(0), share=None, ungraded=1
    )


def test_one_doubtful_essay_makes_the_result_need_a_review() -> None:
    assert a_result(essay_score(), abstention()).needs_review
    assert not a_result(essay_score()).needs_review


@pytest.mark.parametrize(
    ("reason", "heals"),
    [(None, False), (DegradedReason.ESSAY_GRADER_NOT_CONFIGURED, False), (DegradedReason.ESSAY_GRADER_LOCAL, True)],
)
def test_only_temporary_reasons_heal(reason: DegradedReason | None, heals: bool) -> None:  # noqa: FBT001  # parametrised
    assert a_result(essay_score(degraded_reason=reason)).heals is heals


def test_metrics_add_the_latencies_of_model_gradings_and_the_known_costs() -> None:
    by_model = essay_score(model="gpt-test", latency_ms=700, cost_cents=Decimal("0.4"))
    local = essay_score(model="local-test", latency_ms=90)
    metrics = a_result(by_model, by_model, local).metrics(total_latency_ms=2000)
    assert (metrics.total_latency_ms, metrics.gpt_latency_ms, metrics.rag_latency_ms) == (2000, 1400, 1)
    assert (metrics.token_cost_cents, metrics.cost_complete) == (Decimal("0.8"), True)


def test_an_unknown_cost_leaves_the_sum_incomplete() -> None:
    unknown = essay_score(model="gpt-test", cost_cents=None)
    metrics = a_result(unknown, essay_score(cost_cents=Decimal("0.4"))).metrics(total_latency_ms=1)
    assert (metrics.token_cost_cents, metrics.cost_complete) == (Decimal("0.4"), False)
