"""The demo: one student takes an assessment over HTTP, a cohort of learners follows, and the accounts are printed."""

import asyncio
import json
import textwrap
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Final

import httpx
import yaml

from deploy.local.demo_client import Demo, Json, get, result, say, signed_in, start, submit
from deploy.local.demo_cohort import add_cohort, is_complete
from deploy.local.demo_partner import Receiver, receiving
from domain.ids import derived_id

ANSWERS: Final = Path(__file__).with_name("demo_answers.yaml")
EVENT_WITHIN_S: Final = 20


def walk(environment: Mapping[str, str]) -> int:
    """Run the demo. Return 0 after a result, or print the reason and return 1."""
    return _run(_walk, environment)


def populate(environment: Mapping[str, str]) -> int:
    """Add the demo's cohort if it is missing, and print the accounts. Return 0, or print the reason and return 1."""
    return _run(_populate, environment)


def _run(work: Callable[[Demo], Awaitable[None]], environment: Mapping[str, str]) -> int:
    async def run() -> None:
        await work(Demo.of(environment))

    try:
        asyncio.run(run())
    except (httpx.HTTPError, TimeoutError) as error:
        say(f"The demo failed: {str(error) or type(error).__name__}. The logs are in .local/logs.")
        return 1
    return 0


async def _walk(demo: Demo) -> None:
    async with signed_in(demo.api_url, demo.admin) as admin, receiving(admin) as receiver:
        async with signed_in(demo.api_url, demo.student) as http:
            assessment_id = await _take(demo, http)
        await _show_event(receiver, assessment_id)
        say("\nLEARNERS")
        await _add_cohort(demo, admin)
    say(f"\nThe run in Temporal's Web UI: {demo.run_url(assessment_id)}")
    _show_pages(demo)
    say(f"  The student's result: {demo.result_url(assessment_id)}")


async def _populate(demo: Demo) -> None:
    async with signed_in(demo.api_url, demo.admin) as admin:
        if not await is_complete(admin):
            async with receiving(admin):
                await _add_cohort(demo, admin)
    _show_pages(demo)


async def _add_cohort(demo: Demo, admin: httpx.AsyncClient) -> None:
    if await is_complete(admin):
        say("  The demo learners are there from an earlier run.")
        return
    say("  24 demo learners take assessments, about a minute.")
    await add_cohort(demo, admin)


async def _take(demo: Demo, http: httpx.AsyncClient) -> str:
    """Take the student through an assessment, print the result, and return the assessment's id."""
    script = yaml.safe_load(ANSWERS.read_text(encoding="utf-8"))
    assessment_id, questions = await start(http, derived_id("role", script["role"]))
    say(f"\nAssessment {assessment_id}: {len(questions)} questions")
    say(f"Watch it run: {demo.run_url(assessment_id)}")
    asked = {question["question_id"] for question in questions}
    answers = {str(derived_id("question", key)): answer for key, answer in script["answers"].items()}
    given = {question_id: answer for question_id, answer in answers.items() if question_id in asked}
    await submit(http, assessment_id, given)
    say(f"Submitted {len(given)} answers, {len(questions) - len(given)} left open\n")
    published = await result(http, assessment_id, lambda stage: say(f"  … {stage}"))
    scores = await get(http, f"/assessments/{assessment_id}/scores")
    _show_scores(scores["scores"], questions)
    _show_result(published)
    return assessment_id


def _show_pages(demo: Demo) -> None:
    say(f"\nPAGES\n  Sign in at {demo.api_url}/sign-in")
    for role, account in (("student", demo.student), ("advisor", demo.advisor), ("admin", demo.admin)):
        say(f"    {role:<8} {account.email:<22} {account.password}")


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
