"""Validation of rubrics by pydantic: strict types, no unknown fields, and the rubrics' own rules."""

from typing import Annotated

import pytest
from pydantic import Field, TypeAdapter, ValidationError

from domain.assessments.questions import Anchor, AnswerFormat, Rubric
from tests.domain.builders import essay, multiple, number, scale, single

RUBRIC: TypeAdapter[Rubric] = TypeAdapter(Annotated[Rubric, Field(discriminator="kind")])
SCALE = '{"kind": "scale", "evidence": {"a": "0", "b": "0.5"}, "skills": ["SQL"]%s}'


@pytest.mark.parametrize(
    "rubric",
    [
        single(),
        multiple(),
        number(),
        scale(),
        essay(anchors=(Anchor(text="An answer.", levels={"cause": "Strong", "remedy": "Missing"}),)),
    ],
    ids=lambda rubric: str(rubric.kind),
)
def test_a_rubric_survives_json(rubric: Rubric) -> None:
    assert RUBRIC.validate_json(RUBRIC.dump_json(rubric), strict=True) == rubric


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError) as caught:
        RUBRIC.validate_json(SCALE % ', "bonus": 1')
    assert [error["loc"] for error in caught.value.errors()] == [("scale", "bonus")]


def test_an_unknown_field_deep_inside_is_refused() -> None:
    text = RUBRIC.dump_json(essay()).replace(b'"descriptor":', b'"colour":"red","descriptor":', 1)
    with pytest.raises(ValidationError) as caught:
        RUBRIC.validate_json(text)
    assert [error["loc"] for error in caught.value.errors()] == [("text", "criteria", 0, "levels", 0, "colour")]


def test_a_broken_invariant_is_a_validation_error_that_names_the_field() -> None:
    with pytest.raises(ValidationError) as caught:
        RUBRIC.validate_json((SCALE % "").replace("0.5", "1.5"))
    assert [(error["loc"], error["msg"]) for error in caught.value.errors()] == [
        (("scale",), "Value error, evidence.b: must be between 0 and 1")
    ]


def test_strictness_refuses_text_for_a_count() -> None:
    with pytest.raises(ValidationError, match="max_words"):
        TypeAdapter(AnswerFormat).validate_json('{"kind": "text", "max_words": "400"}', strict=True)
