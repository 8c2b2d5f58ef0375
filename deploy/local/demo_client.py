"""Calls of the demo to the API: sign in, start or continue an assessment, submit it and wait for its result."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import httpx

RESULT_WITHIN_S: Final = 120
POLL_S: Final = 0.2
TIMEOUT_S: Final = 60.0
SEEDED: Final = ("STUDENT", "ADVISOR", "ADMIN")

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    email: str
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """The stack's addresses and the demo accounts."""

    api_url: str
    ui_url: str
    namespace: str
    student: Account
    advisor: Account
    admin: Account

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Demo":
        accounts = {
            name.lower(): Account(email=environment[f"{name}_EMAIL"], password=environment[f"{name}_PASSWORD"])
            for name in SEEDED
        }
        return cls(
            api_url=environment["API_URL"],
            ui_url=environment["TEMPORAL_UI_URL"],
            namespace=environment["TEMPORAL_NAMESPACE"],
            **accounts,
        )

    def run_url(self, assessment_id: str) -> str:
        """Return the address of the run in Temporal's Web UI."""
        return f"{self.ui_url}/namespaces/{self.namespace}/workflows/assessment-{assessment_id}"

    def result_url(self, assessment_id: str) -> str:
        """Return the address of the student's result page."""
        return f"{self.api_url}/assessments/{assessment_id}/result"


@asynccontextmanager
async def signed_in(api_url: str, account: Account) -> AsyncIterator[httpx.AsyncClient]:
    """Log in and yield a client with the account's token."""
    async with httpx.AsyncClient(base_url=f"{api_url}/api/v1", timeout=TIMEOUT_S) as http:
        form = {"username": account.email, "password": account.password}
        token = (await http.post("/auth/token", data=form)).raise_for_status().json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield http


async def get(http: httpx.AsyncClient, path: str, **query: str) -> Json:
    body: Json = (await http.get(path, params=query)).raise_for_status().json()
    return body


async def start(http: httpx.AsyncClient, role_id: UUID) -> tuple[str, list[Json]]:
    """Start an assessment, or continue the one that an interrupted demo left open. Return its id and questions."""
    started = await http.post("/assessments/start", json={"role_id": str(role_id)})
    if started.status_code == httpx.codes.CONFLICT:
        assessment_id: str = started.json()["details"]["assessment_id"]
        return assessment_id, (await get(http, f"/assessments/{assessment_id}/questions"))["questions"]
    body = started.raise_for_status().json()
    return body["assessment_id"], body["questions"]


async def submit(http: httpx.AsyncClient, assessment_id: str, answers: Mapping[str, Any]) -> None:
    """Send the answers, by the ids of their questions, and submit the assessment."""
    responses = [{"question_id": question_id, "answer": answer} for question_id, answer in answers.items()]
    sent = await http.post(f"/assessments/{assessment_id}/responses", json={"responses": responses, "completed": True})
    sent.raise_for_status()


async def result(
    http: httpx.AsyncClient,
    assessment_id: str,
    report: Callable[[str], None] = lambda _: None,
    *,
    poll_s: float = POLL_S,
    within_s: float = RESULT_WITHIN_S,
) -> Json:
    """Wait for the published result, and report each stage once.

    Raises:
        TimeoutError: there is no result after `within_s`.
    """
    stage = ""
    async with asyncio.timeout(within_s):
        while True:
            answer = (await http.get(f"/assessments/{assessment_id}/result")).raise_for_status()
            body: Json = answer.json()
            if answer.status_code == httpx.codes.OK:
                return body
            if (body.get("stage") or stage) != stage:
                stage = body["stage"]
                report(stage)
            await asyncio.sleep(poll_s)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
