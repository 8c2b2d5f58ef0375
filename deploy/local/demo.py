"""The demo: take one student through an assessment over HTTP, and print the result and the partner's event."""

import asyncio
import json
import sys
import textwrap
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import yaml

from deploy.local.demo_partner import Receiver, receiving
from domain.ids import derived_id

ANSWERS = Path(__file__).with_name("demo_answers.yaml")
RESULT_WITHIN_S = 120
EVENT_WITHIN_S = 20

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """The stack's addresses, and the e-mail addresses and passwords of the demo accounts."""

    api_url: str
    ui_url: str
    namespace: str
    student: tuple[str, str]
    admin: tuple[str, str]

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Demo":
        return cls(
            api_url=environment["API_URL"],
            ui_url=environment["TEMPORAL_UI_URL"],
            namespace=environment["TEMPORAL_NAMESPACE"],
            student=(environment["STUDENT_EMAIL"], environment["STUDENT_PASSWORD"]),
            admin=(environment["ADMIN_EMAIL"], environment["ADMIN_PASSWORD"]),
        )

    def run_url(self, assessment_id: str) -> str:
        """Return the address of the run in Temporal's Web UI."""
        return f"{self.ui_url}/namespaces/{self.namespace}/workflows/assessment-{assessment_id}"


def walk(environment: Mapping[str, str]) -> int:
    """Run the demo. Return 0 after a result, or print the reason and return 1."""
    try:
        asyncio.run(_walk(Demo.of(environment)))
    except (httpx.HTTPError, TimeoutError) as error:
        say(f"The demo failed: {str(error) or type(error).__name__}. The logs are in .local/logs.")
        return 1
    return 0


async def _walk(demo: Demo) -> None:
    script = yaml.safe_load(ANSWERS.read_text(encoding="utf-8"))
    async with (
        _client(demo, demo.admin) as admin,
        receiving(admin) as receiver,
        _client(demo, demo.student) as http,
    ):
        role_id = derived_id("role", script["role"])
        assessment_id, questions = await _start(http, role_id)
        say(f"\nAssessment {assessment_id}: {len(questions)} questions")
        say(f"Watch it run: {demo.run_url(assessment_id)}")
        await _answer(http, assessment_id, questions, script["answers"])
        result = await _result(http, assessment_id)
        scores = await _get(http, f"/assessments/{assessment_id}/scores")
        _show_scores(scores["scores"], questions)
        _show_result(result)
        await _show_event(receiver, assessment_id)
    say(f"\nThe run in Temporal's Web UI: {demo.run_url(assessment_id)}")


@asynccontextmanager
async def _client(demo: Demo, account: tuple[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """Log in and yield a client with the account's token."""
    async with httpx.AsyncClient(base_url=f"{demo.api_url}/api/v1", timeout=10) as http:
        form = dict(zip(("username", "password"), account, strict=True))
        token = (await http.post("/auth/token", data=form)).raise_for_status().json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield http


async def _start(http: httpx.AsyncClient, role_id: UUID) -> tuple[str, list[Json]]:
    """Start an assessment, or continue the one that an interrupted demo left open."""
    started = await http.post("/assessments/start", json={"role_id": str(role_id)})
    if started.status_code == httpx.codes.CONFLICT:
        assessment_id: str = started.json()["details"]["assessment_id"]
        return assessment_id, (await _get(http, f"/assessments/{assessment_id}/questions"))["questions"]
    body = started.raise_for_status().json()
    return body["assessment_id"], body["questions"]


async def _answer(http: httpx.AsyncClient, assessment_id: str, questions: list[Json], answers: Json) -> None:
    asked = {question["question_id"] for question in questions}
    by_id = {str(derived_id("question", key)): answer for key, answer in answers.items()}
    responses = [{"question_id": key, "answer": answer} for key, answer in by_id.items() if key in asked]
    sent = await http.post(f"/assessments/{assessment_id}/responses", json={"responses": responses, "completed": True})
    sent.raise_for_status()
    say(f"Submitted {len(responses)} answers, {len(questions) - len(responses)} left open\n")


async def _result(http: httpx.AsyncClient, assessment_id: str) -> Json:
    """Wait for the published result, and print each stage once."""
    stage = ""
    async with asyncio.timeout(RESULT_WITHIN_S):
        while True:
            answer = (await http.get(f"/assessments/{assessment_id}/result")).raise_for_status()
            body: Json = answer.json()
            if answer.status_code == httpx.codes.OK:
                return body
            if (body.get("stage") or stage) != stage:
                stage = body["stage"]
                say(f"  … {stage}")
            await asyncio.sleep(0.2)


async def _get(http: httpx.AsyncClient, path: str) -> Json:
    body: Json = (await http.get(path)).raise_for_status().json()
    return body


def _show_scores(scores: list[Json], questions: list[Json]) -> None:
    asked = {question["question_id"]: question for question in questions}
    say("\nSCORES")
    for score in scores:
        question = asked[score["question_id"]]
        say(f"\n{_points(score):>9}  {textwrap.shorten(question['prompt'], 96, placeholder=' …')}")
        say(_indented(score.get("explanation") or score["feedback"]))
        names = {criterion["key"]: criterion["name"] for criterion in question["rubric"].get("criteria", ())}
        for criterion in score.get("criteria", ()):
            say(_indented(f"- {names[criterion['criterion']]}: {criterion['level']}. {criterion['rationale']}"))


def _points(item: Json) -> str:
    if item["points"] is None:
        return "review"
    if not float(item["max_points"]):
        return "profile"
    return f"{float(item['points']):g} / {float(item['max_points']):g}"


def _show_result(result: Json) -> None:
    say("\nSKILLS (score → target)")
    for skill in result["skills"]:
        score = "  ?" if skill["score"] is None else f"{float(skill['score']):.2f}"
        say(f"  {skill['skill']:<32} {score} → {float(skill['target']):.2f}   gap {float(skill['gap']):.2f}")
    say(f"\nRESULT, revision {result['revision']}")
    say(_indented(result["summary"]))
    if result["degraded"]:
        say(_indented(f"Degraded: {', '.join(result['degraded_reasons'])}"))
    say("\nRECOMMENDED")
    traces = {trace["trace_id"]: trace for trace in result["traces"]}
    for place, item in enumerate(result["recommendation_items"], start=1):
        say(f"\n  {place}. {item['title']}  (confidence {item['confidence']:.2f})")
        say(_indented(item["rationale"]))
        found = sorted((traces[each] for each in item["source_trace_ids"]), key=lambda each: -each["similarity"])
        for trace in found[:1]:  # an item may have no trace of its own: a prerequisite that the search did not find
            say(_indented(f"Evidence: “{trace['snippet']}” (similarity {trace['similarity']:.2f})"))
            say(_indented(trace["source_uri"]))


async def _show_event(receiver: Receiver | None, assessment_id: str) -> None:
    say("\nWEBHOOK")
    if receiver is None:
        say(_indented("Not shown: this stack refuses receivers on loopback. Set WEBHOOK_ALLOW_LOOPBACK=true."))
    elif found := await receiver.event_about(assessment_id, EVENT_WITHIN_S):
        event_id, event = found
        say(_indented(f"POST {receiver.url}, webhook-id {event_id}: the signature is valid."))
        say(textwrap.indent(json.dumps(event, indent=2), " " * 11))
    else:
        say(_indented(f"No event arrived within {EVENT_WITHIN_S} s. The delivery log shows the reason."))


def _indented(text: str) -> str:
    return textwrap.fill(text, width=108, initial_indent=" " * 11, subsequent_indent=" " * 11)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
