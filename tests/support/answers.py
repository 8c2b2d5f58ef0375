"""Build valid answers as a student's client sends them."""

from typing import Any

Json = dict[str, Any]


def response_to(question: Json, essay: str, *, chosen: int = 2) -> Json:
    """Answer with the first choice, the first `chosen` choices, the smallest number or the essay."""
    answer_format = question["answer_format"]
    answer: Any
    match answer_format["kind"]:
        case "single" | "scale":
            answer = answer_format["choices"][0]
        case "multiple":
            answer = {"choices": answer_format["choices"][:chosen]}
        case "number":
            answer = answer_format.get("minimum", 1)
        case _:
            answer = essay
    return {"question_id": question["question_id"], "answer": answer}
