"""Schemas of published results. The API returns the stored document unchanged; these models describe it."""

from typing import Literal

from pydantic import AnyUrl, Field

from api.schemas.base import Id, Moment, Output


class RecommendationItem(Output):
    credential_id: Id
    title: str
    position: int
    confidence: float = Field(ge=0, le=1)
    rationale: str
    skills: list[str]
    source_trace_ids: list[Id]


class RagTrace(Output):
    trace_id: Id
    credential_id: Id
    skill: str
    source_uri: AnyUrl
    snippet: str
    similarity: float = Field(ge=-1, le=1)
    embedding_provider: Literal["sentence-transformers", "openai"]


class ProcessingMetrics(Output):
    """Latencies in ms. `token_cost_cents` is the sum of known costs; `cost_complete` is false if some are unknown."""

    total_latency_ms: int
    token_cost_cents: float
    cost_complete: bool
    gpt_latency_ms: int
    rag_latency_ms: int


class SkillResult(Output):
    """`score` 0..1 is null without evidence. `gap` is the role's `target` minus the score, at least 0.

    `evidence` is the weight of the answers behind the score, in questions of weight 1. Old results lack it.
    """

    skill: str
    score: float | None
    target: float
    gap: float
    evidence: float | None = None


class CriterionScore(Output):
    criterion: str
    level: str
    points: float
    rationale: str
    quotes: list[str]
    confidence: float


class ItemScore(Output):
    """The score of one item. `points` is null if the grader abstained, so that a person must review the answer.

    Rule scores have `rule` and `explanation`, which tells students the right answer only if the role's `reveal` allows
    it. Essay scores have `criteria`, `feedback`, `model` and the versions.
    """

    question_id: Id
    points: float | None
    max_points: float
    fraction: float | None
    explanation: str | None = None
    rule: str | None = None
    criteria: list[CriterionScore] | None = None
    feedback: str | None = None
    model: str | None = None
    prompt_version: str | None = None
    rubric_version: str | None = None
    confidence: float | None = None
    needs_review: bool = False
    reviewed: bool = Field(default=False, description="A reviewer set or confirmed the levels")
    flags: list[str] | None = Field(
        default=None,
        description="What a reviewer should check: hidden_characters, addressed_to_grader, gibberish, copied_prompt, "
        "pasted_rubric, repeated, too_short, unrelated, unrelated_passage (a part may not answer the question), "
        "other_language (not in English, so the local grader abstained), "
        "copied_answer (a part is in an earlier answer of another student) or lowered_by_healing",
    )


class OverallScore(Output):
    """The sum of the items' points. `share` is points / max_points (0..1); null or absent if no item gives points.

    An essay without a first grade is in neither sum. `ungraded` counts these essays: above 0, the score is provisional.
    """

    points: float
    max_points: float
    share: float | None = Field(default=None, ge=0, le=1)
    ungraded: int


class AssessmentResult(Output):
    assessment_id: Id
    recommendation_id: Id
    revision: int
    summary: str
    confidence_basis: str | None = Field(
        default=None,
        description="uncalibrated: confidences are scores 0..1. calibrated on N reactions: they are probabilities that "
        "an item is rated 4 or 5, or accepted",
    )
    recommendation_items: list[RecommendationItem]
    traces: list[RagTrace]
    metrics: ProcessingMetrics
    degraded: bool
    degraded_reasons: list[str]
    completed_at: Moment
    score: OverallScore | None = Field(default=None, description="Old results lack it")
    needs_review: bool | None = Field(
        default=None, description="Whether a reviewer should check an essay of this revision. Old results lack it"
    )
    skills: list[SkillResult]
    scores: list[ItemScore]
    released: bool = Field(description="`false`: the revision is held. Only advisors and admins read it")


class ResultPending(Output):
    """The result is not ready yet. Repeat the request after the seconds in `Retry-After`.

    The stage `in_review`: the result is ready, and an advisor must review or release it.
    """

    assessment_id: Id
    status: Literal["awaiting_async"]
    stage: str | None = None


class AssessmentScores(Output):
    assessment_id: Id
    revision: int
    scores: list[ItemScore]
    released: bool = Field(description="`false`: the revision is held. Only advisors and admins read it")


class Revision(Output):
    """A revision. Students and API keys get only revisions that are or were released."""

    revision: int
    released: bool
    published_at: Moment


class RevisionList(Output):
    assessment_id: Id
    items: list[Revision]
