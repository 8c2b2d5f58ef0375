"""Check a batch of answers against the questions of an assessment."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.assessments.answers import check_answer
from domain.assessments.questions import Answer, Item
from domain.errors import InvalidInput, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedAnswer:
    """An answer as the client sent it: `raw` is a JSON value (None clears), `claimed_at` the client's clock."""

    question_id: UUID
    raw: object
    claimed_at: datetime | None = None


def check_answers(items: Sequence[Item], submitted: Sequence[SubmittedAnswer]) -> dict[UUID, Answer | None]:
    """Return the answers by snapshot id, in the order submitted. None clears an answer.

    Raises:
        InvalidInput: an answer has an unknown or repeated question, or does not fit its question. All problems are
            listed.
    """
    asked = {item.question.id: item for item in items}
    answers: dict[UUID, Answer | None] = {}
    problems: list[Problem] = []

    def refuse(position: int, field: str, problem: str) -> None:
        question_id = str(submitted[position].question_id)
        problems.append(Problem(f"responses.{position}.{field}", problem, question_id=question_id))

    for position, sent in enumerate(submitted):
        item = asked.get(sent.question_id)
        if item is None:
            refuse(position, "question_id", "is not a question of this assessment")
        elif item.snapshot_id in answers:
            refuse(position, "question_id", "is answered twice")
        else:
            try:
                answers[item.snapshot_id] = check_answer(item.question.answer_format, sent.raw)
            except InvalidInput as error:
                for each in error.problems:
                    refuse(position, each.field, each.problem)
    if problems:
        raise InvalidInput("The request is not valid", tuple(problems))
    return answers
