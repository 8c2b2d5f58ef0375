"""Domain values survive conversion to JSON and back; invalid ones are rejected without being quoted."""

import json
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.assessments.questions import Answer, QuestionKind
from domain.errors import CorruptData
from domain.grading.scores import CriterionRating, DegradedReason, EssayScore, RuleScore, RuleScores
from domain.recommending.recommendations import Blend, Evidence
from persistence.repositories.documents import decode, decode_answer, encode, encode_answer
from tests.support.builders import a_gap, a_recommended_item, a_trace, an_essay_score

MARKER = "a student's own words"
RATING = CriterionRating(
    criterion="story", level="Yes", points=Decimal("1.50"), rationale="There is one.", quotes=("Once",)
)
VALUES = [
    an_essay_score(
        uuid4(), ratings=(RATING,), points=None, degraded_reason=DegradedReason.ESSAY_GRADER_LOCAL, cost_cents=None
    ),
    Evidence(
        gaps=(a_gap("Weaving"),),
        traces=(a_trace(uuid4()),),
        latency_ms=3,
        embedding_provider="openai",
        embedding_model="m",
        degraded_reason=DegradedReason.VECTOR_STORE_FALLBACK,
    ),
    Blend(items=(a_recommended_item(uuid4(), 1),), weights={"coverage": 0.1}, summary="…"),
]


def through_json(value: object) -> object:
    return json.loads(json.dumps(encode(value)))


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_a_value_comes_back_equal(value: object) -> None:
    assert decode(type(value), through_json(value)) == value


@given(points=st.decimals(0, 999, places=4), fraction=st.none() | st.decimals(0, 1, places=4))
def test_decimals_keep_every_digit(points: Decimal, fraction: Decimal | None) -> None:
    score = RuleScore(
        snapshot_id=uuid4(),
        points=points,
        max_points=points,
        fraction=fraction,
        explanation="",
        rule="numeric_tolerance",
    )

    back = decode(RuleScores, through_json(RuleScores(scores=(score,))))

    assert str(back) == str(RuleScores(scores=(score,)))


def test_an_invalid_value_is_named_but_not_quoted() -> None:
    stored = encode(an_essay_score(uuid4())) | {"feedback": {"text": MARKER}, "points": MARKER}

    with pytest.raises(CorruptData) as refused:
        decode(EssayScore, stored)

    assert "feedback, points" in refused.value.message
    assert MARKER not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        (QuestionKind.SINGLE, "12"),
        (QuestionKind.SCALE, "Weekly"),
        (QuestionKind.TEXT, MARKER),
        (QuestionKind.NUMBER, Decimal("12.50")),
        (QuestionKind.MULTIPLE, ("b", "a")),
        (QuestionKind.MULTIPLE, ()),
    ],
)
def test_an_answer_comes_back_as_its_kind(kind: QuestionKind, answer: Answer) -> None:
    back = decode_answer(kind, json.loads(json.dumps(encode_answer(answer))))

    assert (back, type(back)) == (answer, type(answer))


def test_an_answer_of_another_kind_is_corrupt() -> None:
    with pytest.raises(CorruptData, match=r"^A stored Decimal is not valid$"):
        decode_answer(QuestionKind.NUMBER, MARKER)
