"""An organization of a test's own with an advisor who is signed in, and students with published results."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

import httpx
from sqlalchemy import update

from persistence.tables import OrganizationRow
from tests.api.conftest import Api, Person, question_of
from tests.api.test_reviews import ratings_of
from tests.pages.conftest import Browser
from tests.support.builders import an_organization

FLAGGED: dict[str, Any] = {"needs_review": True, "flags": ("unrelated",)}


@dataclass
class Staff:
    api: Api
    organization_id: UUID
    advisor: Person
    browser: Browser
    open_browser: Callable[[], Browser]
    password_hash: str

    @classmethod
    async def of(cls, api: Api, open_browser: Callable[[], Browser], password_hash: str, role: str = "advisor") -> Self:
        async with api.sessions() as session:
            organization_id = await an_organization(session)
            await session.commit()
        advisor = await api.person(role, of=organization_id, password_hash=password_hash)
        staff = cls(api, organization_id, advisor, open_browser(), open_browser, password_hash)
        await staff.set(audit_share=0.0)
        assert (await staff.browser.sign_in(advisor)).status_code == 303
        return staff

    async def set(self, **settings: Any) -> None:
        async with self.api.sessions() as session:
            theirs = update(OrganizationRow).where(OrganizationRow.id == self.organization_id)
            await session.execute(theirs.values(settings=settings))
            await session.commit()

    async def student(self, **columns: Any) -> Person:
        return await self.api.person(of=self.organization_id, **columns)

    async def colleague(self) -> tuple[Person, Browser]:
        person = await self.api.person("advisor", of=self.organization_id, password_hash=self.password_hash)
        browser = self.open_browser()
        await browser.sign_in(person)
        return person, browser

    async def graded(self, student: Person | None = None, **essay: Any) -> dict[str, Any]:
        """Publish a result; return what the student had started. The levels are those of the rubric's first ones."""
        student = student or await self.student()
        started = await self.api.start(student)
        await self.api.submit(student, started)
        ratings = ratings_of(question_of(started, "text"))
        await self.api.publish(started["assessment_id"], **({"ratings": ratings} | essay))
        return started | {"student": student}

    async def waiting(self, **columns: Any) -> dict[str, Any]:
        """Publish a result whose two essays wait for a review."""
        return await self.graded(await self.student(**columns), **FLAGGED)

    async def result_of(self, started: dict[str, Any]) -> dict[str, Any]:
        """Return the result as its student sees it."""
        answer = await self.api.get(started["student"], f"/assessments/{started['assessment_id']}/result")
        result: dict[str, Any] = answer.json()
        return result

    async def rate_courses(self, started: dict[str, Any], *, comments: str) -> None:
        """Let the student give feedback on the recommended courses."""
        recommendation_id = (await self.result_of(started))["recommendation_id"]
        answer = await self.api.client.post(
            f"/api/v1/recommendations/{recommendation_id}/feedback",
            json={"relevance_score": 4, "comments": comments},
            headers=started["student"].headers,
        )
        assert answer.status_code == 201, answer.text

    async def item_of(self, started: dict[str, Any], question_id: str = "") -> str:
        """Return the queue's id of the assessment's first essay."""
        wanted = question_id or question_of(started, "text")["question_id"]
        listed = await self.api.get(self.advisor, "/reviews/queue", assessment_id=started["assessment_id"])
        return next(str(each["item_id"]) for each in listed.json()["items"] if each["question_id"] == wanted)

    async def items(self, started: dict[str, Any]) -> list[dict[str, Any]]:
        answer = await self.api.get(self.advisor, f"/assessments/{started['assessment_id']}/items")
        items: list[dict[str, Any]] = answer.json()["items"]
        return items

    async def open(self, path: str) -> httpx.Response:
        return await self.browser.open(path)

    async def page(self, path: str) -> str:
        answer = await self.open(path)
        assert answer.status_code == 200, answer.text
        return answer.text

    async def send(self, path: str, **fields: str) -> httpx.Response:
        return await self.browser.send(path, dict(fields))
