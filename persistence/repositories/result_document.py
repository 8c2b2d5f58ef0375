"""Build the JSON document of a published result, as `result_revisions` stores it and the API returns it."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from domain.assessments.attempts import Reveal
from domain.assessments.lifecycle import Assessment
from domain.assessments.results import Metrics, OverallScore, Result
from domain.errors import CorruptData
from domain.grading.rules import explain_without_answer
from domain.grading.scores import CriterionRating, EssayScore, RuleScore
from domain.ids import derived_id
from domain.recommending.recommendations import RecommendedItem, Trace
from persistence.repositories.assessments import revision_id


def traces_by_id(assessment: Assessment, result: Result) -> dict[UUID, Trace]:
    """Return the traces by id, in the order of the search hits."""
    return {
        revision_id(assessment, "trace", place): trace for place, trace in enumerate(result.evidence.traces, start=1)
    }


def evidence_of(item: RecommendedItem, traces: Mapping[UUID, Trace]) -> list[UUID]:
    """Return the ids of the traces that support an item: its own, or those of the items that it unlocks."""
    speak = item.evidence or (item.credential_id,)
    return [trace_id for trace_id, trace in traces.items() if trace.credential_id in speak]


def recommendation_id(assessment: Assessment) -> UUID:
    """Return the id of the recommendation, which is the same in all revisions."""
    return derived_id("recommendation", assessment.id)


def result_document(
    assessment: Assessment, result: Result, metrics: Metrics, questions: Mapping[UUID, UUID]
) -> dict[str, Any]:
    """Build the document of the published `assessment`.

    `questions` maps every snapshot to its question, in the assessment's order.

    Raises:
        CorruptData: the scores do not match the assessment's items.
    """
    traces = traces_by_id(assessment, result)
    scores = {score.snapshot_id: _rule_score(score) for score in result.rule_scores}
    scores |= {score.snapshot_id: _essay_score(score) for score in result.essay_scores}
    if scores.keys() != questions.keys():
        raise CorruptData(f"The scores of assessment {assessment.id} do not match its items")
    return {
        "assessment_id": assessment.id,
        "recommendation_id": recommendation_id(assessment),
        "revision": assessment.revision,
        "summary": result.blend.summary,
        "confidence_basis": result.blend.confidence_basis,
        "recommendation_items": [_item(item, evidence_of(item, traces)) for item in result.blend.items],
        "traces": [_trace(trace_id, trace, result) for trace_id, trace in traces.items()],
        "metrics": _metrics(metrics),
        "score": _overall(result.overall),
        "needs_review": result.needs_review,
        "degraded": assessment.degraded,
        "degraded_reasons": result.degraded_reasons,
        "completed_at": assessment.completed_at,
        "skills": [
            {
                "skill": gap.skill,
                "score": _number(gap.score),
                "target": _number(gap.target),
                "gap": _number(gap.gap),
                "evidence": _number(gap.evidence),
            }
            for gap in result.evidence.gaps
        ],
        "scores": [{"question_id": question, **scores[snapshot]} for snapshot, question in questions.items()],
    }


def without_answers(document: Mapping[str, Any], reveal: Reveal) -> dict[str, Any]:
    """Return a result document whose explanations do not tell the right answers, for a student who must not see them.

    An essay's feedback and rationales stay: they are about the student's own text, and an essay has no right answer.
    """
    scores = [_without_answer(score, reveal) for score in document["scores"]]
    return {**document, "scores": scores}


def _without_answer(score: Mapping[str, Any], reveal: Reveal) -> Mapping[str, Any]:
    if "rule" not in score:
        return score
    fraction = None if score["fraction"] is None else Decimal(repr(score["fraction"]))
    return {**score, "explanation": explain_without_answer(score["rule"], fraction, reveal)}


def _overall(score: OverallScore) -> dict[str, Any]:
    return {
        "points": _number(score.points),
        "max_points": _number(score.max_points),
        "share": _number(score.share),
        "ungraded": score.ungraded,
    }


def _item(item: RecommendedItem, evidence: list[UUID]) -> dict[str, Any]:
    return {
        "credential_id": item.credential_id,
        "title": item.title,
        "position": item.position,
        "confidence": item.confidence,
        "rationale": item.rationale,
        "skills": item.skills,
        "source_trace_ids": evidence,
    }


def _trace(trace_id: UUID, trace: Trace, result: Result) -> dict[str, Any]:
    return {
        "trace_id": trace_id,
        "credential_id": trace.credential_id,
        "skill": trace.skill,
        "source_uri": trace.source_uri,
        "snippet": trace.snippet,
        "similarity": trace.similarity,
        "embedding_provider": result.evidence.embedding_provider,
    }


def _metrics(metrics: Metrics) -> dict[str, Any]:
    return {
        "total_latency_ms": metrics.total_latency_ms,
        "token_cost_cents": _number(metrics.token_cost_cents),
        "cost_complete": metrics.cost_complete,
        "gpt_latency_ms": metrics.gpt_latency_ms,
        "rag_latency_ms": metrics.rag_latency_ms,
    }


def _rule_score(score: RuleScore) -> dict[str, Any]:
    return {
        "points": _number(score.points),
        "max_points": _number(score.max_points),
        "fraction": _number(score.fraction),
        "explanation": score.explanation,
        "rule": score.rule,
        "needs_review": False,
    }


def _essay_score(score: EssayScore) -> dict[str, Any]:
    return {
        "points": _number(score.points),
        "max_points": _number(score.max_points),
        "fraction": _number(score.fraction),
        "criteria": [_rating(rating) for rating in score.ratings],
        "feedback": score.feedback,
        "model": score.model,
        "prompt_version": score.prompt_version,
        "rubric_version": score.rubric_version,
        "confidence": _number(score.confidence),
        "needs_review": score.needs_review,
        "reviewed": score.reviewed,
        "flags": score.flags,
    }


def _rating(rating: CriterionRating) -> dict[str, Any]:
    return {
        "criterion": rating.criterion,
        "level": rating.level,
        "points": _number(rating.points),
        "rationale": rating.rationale,
        "quotes": rating.quotes,
        "confidence": _number(rating.confidence),
    }


def _number(value: Decimal | None) -> float | None:
    """Convert to a JSON number. The decimals have at most 15 digits, which a double stores exactly."""
    return None if value is None else float(value)
