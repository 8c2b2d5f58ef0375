"""Start an assessment, answer it and wait for its result over HTTP, as a student's client does."""

from dataclasses import dataclass
from typing import Self

import httpx

from domain.ids import derived_id
from tests.support import answers
from tests.support.deployment import PATIENCE_S, Json, eventually

ROLES = (
    "data-analyst",
    "backend-developer",
    "digital-marketing-specialist",
    "it-support-technician",
    "project-coordinator",
)
MARKER = "xylophone-quartz-7319"
"""A marker in every sentence of every essay, so that any stored part of an essay can be found."""
ESSAY = " ".join(
    f"{MARKER}: {sentence}"
    for sentence in (
        "First I count the rows per order after the join, because a payment in three parts shows it three times.",
        "Then I add up the order lines alone and compare both sums for every day of the last four weeks.",
        "I check that all loads arrived and look at the same holiday of last year before I blame the holiday.",
        "Finally I tell the team in two sentences what is known, what is not, and when they get checked numbers.",
    )
)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One assessment of a student."""

    http: httpx.Client
    id: str
    questions: list[Json]

    @classmethod
    def start(cls, http: httpx.Client, role: str = ROLES[0]) -> Self:
        answer = http.post("/assessments/start", json={"role_id": str(derived_id("role", role))})
        assert answer.status_code == 201, answer.text
        body = answer.json()
        return cls(http, body["assessment_id"], body["questions"])

    @property
    def path(self) -> str:
        return f"/assessments/{self.id}"

    def send(self, responses: list[Json], *, completed: bool = False) -> httpx.Response:
        return self.http.post(f"{self.path}/responses", json={"responses": responses, "completed": completed})

    def submit(self) -> httpx.Response:
        """Answer every question and submit the assessment."""
        return self.send([response_to(question) for question in self.questions], completed=True)

    def result(self, within_s: float = PATIENCE_S) -> Json:
        """Return the published result. Retry while the API answers 202 or 503 or is unreachable."""
        return eventually(self._result, within_s)

    def _result(self) -> Json:
        try:
            answer = self.http.get(f"{self.path}/result")
        except httpx.TransportError:
            return {}
        if answer.status_code in {202, 503}:
            return {}
        assert answer.status_code == 200, answer.text
        body: Json = answer.json()
        return body


def response_to(question: Json) -> Json:
    """Answer a question; essays contain the marker."""
    return answers.response_to(question, ESSAY)


def texts_of(responses: list[Json]) -> list[str]:
    """Return the texts of the answers, which no log and no workflow history may contain."""
    answers = [each["answer"] for each in responses]
    chosen = [text for each in answers if isinstance(each, dict) for text in each["choices"]]
    return [MARKER, *chosen, *(each for each in answers if isinstance(each, str))]
