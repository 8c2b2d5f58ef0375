"""Take one student through a deployment, from the start to feedback: `python -m deploy.smoke`.

The exit code is 0 if every step works. It works with any content, because every question gets an answer in its format.
It leaves one more assessment of the account that `python -m deploy.smoke_account` created.
"""

import sys
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar

import httpx
from pydantic import Field, HttpUrl, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

Json = dict[str, Any]
Found = TypeVar("Found")

POLL_S: Final = 1.0
ESSAY: Final = (
    "First I would ask what the numbers are for and who decides with them. Then I would compare the totals of two "
    "independent sources day by day, because a difference tells where to look. I would write down what I changed and "
    "why, so that somebody else can repeat it. Finally I would say in two sentences what is known, what is not known "
    "yet, and when there will be an answer."
)


class SmokeFailed(Exception):
    """The deployment failed a step. The message describes the failure."""


class SmokeSettings(BaseSettings):
    """`API_URL` without `/api/v1`. `SMOKE_WITHIN_S` limits the wait for readiness, and the wait for the result."""

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore", hide_input_in_errors=True)

    api_url: HttpUrl
    smoke_email: str = Field(min_length=3)
    smoke_password: SecretStr
    smoke_within_s: float = Field(default=300.0, gt=0)


class Smoke:
    """The steps in their order. Each raises SmokeFailed."""

    def __init__(self, http: httpx.Client, within_s: float) -> None:
        self._http = http
        self._within_s = within_s

    def until_ready(self) -> Json:
        """Wait until the database and Temporal are ready, and return the response of /readyz."""
        return self._until("ready, with Temporal", self._ready)

    def log_in(self, email: str, password: str) -> None:
        token = self._expect(200, self._http.post("/api/v1/auth/token", data={"username": email, "password": password}))
        self._http.headers["Authorization"] = f"Bearer {token['access_token']}"

    def start(self) -> tuple[str, list[Json]]:
        """Start an assessment for the first role, or continue an open one. Return its id and questions."""
        roles = self._expect(200, self._http.get("/api/v1/roles"))["items"]
        if not roles:
            raise SmokeFailed("There is no role. Load the content: python -m persistence.load_content")
        started = self._http.post("/api/v1/assessments/start", json={"role_id": roles[0]["role_id"]})
        if started.status_code == httpx.codes.CONFLICT:
            assessment_id: str = started.json()["details"]["assessment_id"]
            answer = self._http.get(f"/api/v1/assessments/{assessment_id}/questions")
            return assessment_id, self._expect(200, answer)["questions"]
        body = self._expect(201, started)
        return body["assessment_id"], body["questions"]

    def submit(self, assessment_id: str, questions: list[Json]) -> None:
        responses = [{"question_id": each["question_id"], "answer": answer_to(each)} for each in questions]
        body = {"responses": responses, "completed": True}
        self._expect(202, self._http.post(f"/api/v1/assessments/{assessment_id}/responses", json=body))

    def result(self, assessment_id: str) -> Json:
        """Wait for the published result and return it."""
        return self._until("a result", lambda: self._published(assessment_id))

    def give_feedback(self, result: Json) -> None:
        body = {"relevance_score": 4, "acceptance_status": "pending", "comments": "Smoke test"}
        path = f"/api/v1/recommendations/{result['recommendation_id']}/feedback"
        self._expect(201, self._http.post(path, json=body))

    def _ready(self) -> Json | None:
        try:
            body: Json = self._http.get("/readyz").json()
        except (httpx.TransportError, ValueError):  # the API does not run yet, or a proxy answers
            return None
        return body if (body.get("status"), body.get("temporal")) == ("ready", "up") else None

    def _published(self, assessment_id: str) -> Json | None:
        answer = self._http.get(f"/api/v1/assessments/{assessment_id}/result")
        return None if answer.status_code == httpx.codes.ACCEPTED else self._expect(200, answer)

    def _until(self, what: str, look: Callable[[], Found | None]) -> Found:
        deadline = time.monotonic() + self._within_s
        while (found := look()) is None:
            if time.monotonic() > deadline:
                raise SmokeFailed(f"Not {what} within {self._within_s:.0f} s")
            time.sleep(POLL_S)
        return found

    @staticmethod
    def _expect(status: int, answer: httpx.Response) -> Json:
        if answer.status_code != status:
            raise SmokeFailed(f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text}")
        body: Json = answer.json()
        return body


def answer_to(question: Json) -> Any:  # noqa: ANN401  # a string, a number or an object, by the question
    """Return an answer in the question's format."""
    asked = question["answer_format"]
    match asked["kind"]:
        case "single" | "scale":
            return asked["choices"][0]
        case "multiple":
            return {"choices": asked["choices"][:1]}
        case "number":
            return asked.get("minimum", 1)
        case _:
            return ESSAY


def check(result: Json, questions: list[Json]) -> None:
    """Check that all scores, recommendations and their evidence exist. Raises SmokeFailed."""
    unscored = {each["question_id"] for each in questions} - {each["question_id"] for each in result["scores"]}
    if unscored:
        raise SmokeFailed(f"{len(unscored)} of {len(questions)} questions have no score")
    traces = {each["trace_id"] for each in result["traces"]}
    items = result["recommendation_items"]
    if not items or not all(each["source_trace_ids"] and traces.issuperset(each["source_trace_ids"]) for each in items):
        raise SmokeFailed(
            "The result has no recommendations, or some without evidence: run python -m deploy.local.embed"
        )


def run(settings: SmokeSettings) -> None:
    """Run all steps. Raises SmokeFailed, or httpx.HTTPError if the deployment becomes unavailable."""
    with httpx.Client(base_url=str(settings.api_url).rstrip("/"), timeout=30) as http:
        smoke = Smoke(http, settings.smoke_within_s)
        say(f"ready: {smoke.until_ready()}")
        smoke.log_in(settings.smoke_email, settings.smoke_password.get_secret_value())
        assessment_id, questions = smoke.start()
        say(f"started: {assessment_id}, {len(questions)} questions")
        smoke.submit(assessment_id, questions)
        result = smoke.result(assessment_id)
        check(result, questions)
        why = ", ".join(result["degraded_reasons"]) or "nothing degraded"
        say(f"result: {len(result['recommendation_items'])} recommendations, {why}")
        smoke.give_feedback(result)
        say("feedback: accepted")


def main() -> int:
    try:
        run(SmokeSettings())
    except (SmokeFailed, httpx.HTTPError) as error:
        say(f"FAILED: {str(error) or type(error).__name__}")
        return 1
    except ValidationError as error:
        say("; ".join(f"{str(each['loc'][0]).upper()}: {each['msg']}" for each in error.errors()))
        return 2
    return 0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
