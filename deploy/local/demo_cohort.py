"""Add the demo's learners: a cohort that takes assessments, a held result, an appeal, and feedback. Idempotent.

Everything goes through the API and is graded by the worker, so the results are real.
"""

import asyncio
import csv
import io
from collections.abc import Iterable
from contextlib import AsyncExitStack
from typing import Final

import httpx

from deploy.local.demo_client import Account, Demo, Json, get, result, say, signed_in, start, submit
from deploy.local.demo_learners import Attempt, Cohort, Learner, answers, load_cohort
from domain.ids import derived_id

AT_THE_SAME_TIME: Final = 6
"""How many learners sign in at the same time. A password takes the API about 0.25 s of a core."""
POLL_S: Final = 1.0
GRADED_WITHIN_S: Final = 600
"""The worker grades all learners at the same time, so the last one waits for the others."""
AUDIT_SHARE: Final = 0.25
"""More than the default of 5 %, so that the queue of few essays has an audit sample."""
ACCEPTED_FROM: Final = 4
TAKEN: Final = {"awaiting_async", "completed"}
COLUMNS: Final = ("email", "name", "cohort", "external_id")


async def add_cohort(demo: Demo, admin: httpx.AsyncClient) -> None:
    """Create the learners and let them take their assessments. An interrupted demo continues."""
    cohort = load_cohort()
    seeding = _Seeding(demo, admin, cohort)
    await seeding.set_up()
    await seeding.enrol()
    await seeding.learn(each for each in cohort.learners if each != cohort.held)
    await seeding.hold_a_result()
    await seeding.appeal()


async def is_complete(admin: httpx.AsyncClient) -> bool:
    """Whether an earlier demo added the cohort completely. The appeal is the last step."""
    appeals = await get(admin, "/appeals", limit="100")
    return any(each.get("reason") == load_cohort().reason for each in appeals["items"])


class _Seeding:
    """The steps in their order. Each reads what exists, and adds only what is missing."""

    def __init__(self, demo: Demo, admin: httpx.AsyncClient, cohort: Cohort) -> None:
        self._demo = demo
        self._admin = admin
        self._cohort = cohort
        self._free = asyncio.Semaphore(AT_THE_SAME_TIME)
        self._graded = 0
        self._total = sum(len(each.attempts) for each in cohort.learners)

    async def set_up(self) -> None:
        await self._change_settings(release="at_once", audit_share=AUDIT_SHARE)

    async def enrol(self) -> None:
        """Create the accounts, and import names, cohort and external ids as a training provider does."""
        await asyncio.gather(*map(self._create_account, self._cohort.learners))
        imported = await self._admin.post(
            "/users/imports", content=_roster(self._cohort), headers={"Content-Type": "text/csv"}
        )
        imported.raise_for_status()

    async def learn(self, learners: Iterable[Learner]) -> None:
        """Let the learners take their assessments and rate the recommendations."""
        await asyncio.gather(*map(self._learn, learners))

    async def hold_a_result(self) -> None:
        """Hold results while one learner takes an assessment. All other results are published at that time."""
        await self._change_settings(release="all_held")
        try:
            await self.learn([self._cohort.held])
        finally:
            await self._change_settings(release="at_once")

    async def appeal(self) -> None:
        async with signed_in(self._demo.api_url, self._account(self._cohort.appellant)) as http:
            (assessment_id,) = await _taken(http)
            body = {"question_id": str(derived_id("question", self._cohort.appealed)), "reason": self._cohort.reason}
            (await http.post(f"/assessments/{assessment_id}/appeals", json=body)).raise_for_status()

    async def _change_settings(self, **changes: str | float) -> None:
        (await self._admin.patch("/organization/settings", json=changes)).raise_for_status()

    async def _create_account(self, learner: Learner) -> None:
        account = self._account(learner)
        body = {"email": account.email, "password": account.password, "role": "student"}
        async with self._free:
            created = await self._admin.post("/users", json=body)
        if created.status_code != httpx.codes.CONFLICT:
            created.raise_for_status()

    async def _learn(self, learner: Learner) -> None:
        async with AsyncExitStack() as clients:
            async with self._free:  # only while signing in: the worker limits how much it grades at the same time
                http = await clients.enter_async_context(signed_in(self._demo.api_url, self._account(learner)))
            taken = await _taken(http)
            for number, attempt in enumerate(learner.attempts):
                assessment_id = taken[number] if number < len(taken) else await _take(http, learner, attempt)
                published = await result(self._admin, assessment_id, poll_s=POLL_S, within_s=GRADED_WITHIN_S)
                self._report()
                if learner.rating and number == len(learner.attempts) - 1:
                    await self._rate(http, published, learner.rating)

    async def _rate(self, http: httpx.AsyncClient, published: Json, rating: int) -> None:
        path = f"/recommendations/{published['recommendation_id']}/feedback"
        if (await get(self._admin, path))["items"]:
            return
        status = {"acceptance_status": "accepted"} if rating >= ACCEPTED_FROM else {}
        (await http.post(path, json={"relevance_score": rating, **status})).raise_for_status()

    def _account(self, learner: Learner) -> Account:
        return Account(email=learner.email, password=self._demo.student.password)

    def _report(self) -> None:
        self._graded += 1
        if self._graded % 10 == 0 or self._graded == self._total:
            say(f"  … {self._graded} of {self._total} assessments are graded")


def _roster(cohort: Cohort) -> str:
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(COLUMNS)
    for number, learner in enumerate(cohort.learners, start=1):
        rows.writerow((learner.email, learner.name, cohort.name, f"demo-{number:02}"))
    return table.getvalue()


async def _taken(http: httpx.AsyncClient) -> list[str]:
    """Return the ids of the student's submitted assessments, oldest first."""
    listed = (await get(http, "/assessments"))["items"]
    return [each["assessment_id"] for each in reversed(listed) if each["status"] in TAKEN]


async def _take(http: httpx.AsyncClient, learner: Learner, attempt: Attempt) -> str:
    assessment_id, _ = await start(http, derived_id("role", learner.role))
    await submit(http, assessment_id, answers(learner, attempt))
    return assessment_id
