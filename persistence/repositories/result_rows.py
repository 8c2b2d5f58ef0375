"""Build the current rows of a result. Ids are derived, so that publishing twice writes the same rows."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain.assessments.lifecycle import Assessment
from domain.assessments.results import Metrics, Result
from domain.grading.scores import EssayScore, RuleScore
from domain.ids import derived_id
from domain.recommending.recommendations import Trace
from persistence.repositories.assessments import revision_id
from persistence.repositories.bulk import Rows
from persistence.repositories.documents import encode
from persistence.repositories.result_document import evidence_of, recommendation_id, traces_by_id
from persistence.tables import (
    EssayScoreRow,
    MetricSnapshotRow,
    RagTraceRow,
    RecommendationItemRow,
    RecommendationRow,
    RuleScoreRow,
)


def result_rows(assessment: Assessment, now: datetime, result: Result, metrics: Metrics) -> Rows:
    """Return the rows of a result of the published `assessment`."""
    traces = traces_by_id(assessment, result)
    return {
        RuleScoreRow: [_rule_score(assessment, score) for score in result.rule_scores],
        EssayScoreRow: [_essay_score(assessment, score) for score in result.essay_scores],
        RecommendationRow: [_recommendation(assessment, now, result, metrics)],
        RecommendationItemRow: list(_items(assessment, result, traces)),
        RagTraceRow: list(_traces(assessment, traces)),
        MetricSnapshotRow: list(_metrics(assessment, now, result, metrics)),
    }


def _rule_score(assessment: Assessment, score: RuleScore) -> dict[str, Any]:
    return {
        "id": derived_id("score", score.snapshot_id),
        "assessment_id": assessment.id,
        "question_snapshot_id": score.snapshot_id,
        "score": score.points,
        "explanation": score.explanation,
        "rules_applied": {"rule": score.rule, "max_points": score.max_points, "fraction": score.fraction},
        "created_at": assessment.completed_at,
    }


def _essay_score(assessment: Assessment, score: EssayScore) -> dict[str, Any]:
    return {
        "id": derived_id("score", score.snapshot_id),
        "assessment_id": assessment.id,
        "question_snapshot_id": score.snapshot_id,
        "score": score.points,
        "model": score.model,
        "prompt_version": score.prompt_version,
        "latency_ms": score.latency_ms,
        "cost_cents": score.cost_cents,
        "response_payload": encode(score),
        "created_at": assessment.completed_at,
    }


def _recommendation(assessment: Assessment, now: datetime, result: Result, metrics: Metrics) -> dict[str, Any]:
    return {
        "id": recommendation_id(assessment),
        "assessment_id": assessment.id,
        "revision": assessment.revision,
        "summary": result.blend.summary,
        "degraded": assessment.degraded,
        "degraded_reasons": result.degraded_reasons,
        "status": "ready",
        "generated_at": now,
        "metrics": {
            **encode(metrics),
            "blend_weights": result.blend.weights,
            "calibrated_on": result.blend.calibrated_on,
        },
        "skills": {gap.skill: gap.score for gap in result.evidence.gaps if gap.score is not None},
        "created_at": now,
    }


def _items(assessment: Assessment, result: Result, traces: Mapping[UUID, Trace]) -> Iterator[dict[str, Any]]:
    for item in result.blend.items:
        yield {
            "id": revision_id(assessment, "item", item.position),
            "recommendation_id": recommendation_id(assessment),
            "credential_id": item.credential_id,
            "title": item.title,
            "confidence": item.confidence,
            "rationale": item.rationale,
            "source_trace_ids": evidence_of(item, traces),
            "features": item.features,
            "position": item.position,
        }


def _traces(assessment: Assessment, traces: Mapping[UUID, Trace]) -> Iterator[dict[str, Any]]:
    for place, (trace_id, trace) in enumerate(traces.items(), start=1):
        yield {
            "id": trace_id,
            "recommendation_id": recommendation_id(assessment),
            "credential_id": trace.credential_id,
            "skill": trace.skill,
            "position": place,
            "source_uri": trace.source_uri,
            "snippet": trace.snippet,
            "similarity": trace.similarity,
            "embedding_artifact_id": trace.artifact_id,
            "created_at": assessment.completed_at,
        }


def _metrics(assessment: Assessment, now: datetime, result: Result, metrics: Metrics) -> Iterator[dict[str, Any]]:
    """Return the metrics of the run, then those of each essay. An unknown cost has no row."""

    def row(name: str, value: Decimal | int, item: UUID | None = None, **context: object) -> dict[str, Any]:
        return {
            "id": revision_id(assessment, f"metric:{name}", item),
            "assessment_id": assessment.id,
            "metric_type": name,
            "value": value,
            "context": {"revision": assessment.revision, "item": item, **context},
            "captured_at": now,
        }

    yield row("total_latency_ms", metrics.total_latency_ms)
    yield row("gpt_latency_ms", metrics.gpt_latency_ms)
    yield row("rag_latency_ms", metrics.rag_latency_ms)
    yield row("token_cost_cents", metrics.token_cost_cents, complete=metrics.cost_complete)
    for score in result.essay_scores:
        yield row("essay_latency_ms", score.latency_ms, score.snapshot_id, model=score.model)
        if score.cost_cents is not None:
            yield row("essay_cost_cents", score.cost_cents, score.snapshot_id, model=score.model)
