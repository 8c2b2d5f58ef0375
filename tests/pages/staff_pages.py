"""Every page that advisors and admins may open, with data in which each free text is hostile."""

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from sqlalchemy import select, update

from api.pages.permissions import PAGE_PERMISSIONS, may_open
from api.pages.routing import PageRoute
from api.security.tokens import Principal, UserRole
from persistence.tables import (
    ApiKeyRow,
    AppealRow,
    AssessmentRow,
    CatalogImportRow,
    CohortRow,
    EssayScoreRow,
    QuestionRow,
    QuestionSnapshotRow,
    RescoreRow,
    ResponseRow,
    ResultRevisionRow,
    RoleRow,
    UserRow,
    WebhookAttemptRow,
    WebhookDeliveryRow,
    WebhookEndpointRow,
)
from tests.api.appeals.appeal_requests import opened
from tests.api.conftest import Api, Person, levels_of, question_of
from tests.api.test_rescores import computed
from tests.pages.advisors import FLAGGED, Staff
from tests.pages.conftest import Browser
from tests.pages.test_overview import cohort
from tests.pages.test_stored_scripts import CORPUS, replaced
from tests.support.builders import ROLE_ID

HOSTILE: Final = " ".join(CORPUS)
NAME: Final = f"{CORPUS[1]}{CORPUS[0]}"
"""At most 64 characters, as the name of a role."""
NO_PAGES: Final = frozenset(
    {"person_export", "export_assessments_page", "download_differences_page", "progress_events"}
)
ADMIN: Final = Principal(user_id=uuid4(), role=UserRole.ADMIN, organization_id=uuid4(), version=0)
PLATFORM_ADMIN: Final = Principal(user_id=uuid4(), role=UserRole.ADMIN, organization_id=None, version=0)
_RUBRIC: Final = frozenset({"description", "descriptor", "explanation", "text"})
_REPLY: Final = frozenset({"rationale", "feedback"})


@dataclass
class StaffPages:
    """Pages by path, with a browser of a role that may open them. `email` is the admin's address."""

    browsers: Mapping[str, Browser]
    email: str
    assessment_id: str
    rescore_id: str

    async def texts(self) -> dict[str, str]:
        """Open every page. Return the HTML by path."""
        answers = {path: await browser.open(path) for path, browser in self.browsers.items()}
        assert {path: page.status_code for path, page in answers.items() if page.status_code != 200} == {}
        return {path: page.text for path, page in answers.items()}


@pytest.fixture
async def staff_pages(
    api: Api, app: FastAPI, new_browser: Callable[[], Browser], password_hash: str
) -> AsyncIterator[StaffPages]:
    """Make all texts of an organization hostile. The texts of the shared catalogue are restored at the end."""
    staff = await Staff.of(api, new_browser, password_hash, "admin")
    platform_admin = await api.person("platform_admin", password_hash=password_hash)
    platform_browser = new_browser()
    await platform_browser.sign_in(platform_admin)
    ids = await _written(staff, platform_admin)
    async with api.sessions() as session:
        role = (await session.execute(select(RoleRow.name, RoleRow.description).filter_by(id=ROLE_ID))).one()
        prompts = (await session.execute(select(QuestionRow.id, QuestionRow.prompt).filter_by(role_id=ROLE_ID))).all()
    await _poison(api, staff.organization_id, ids)
    browsers = dict.fromkeys(_paths(app, ADMIN, ids), staff.browser)
    others = {path: platform_browser for path in _paths(app, PLATFORM_ADMIN, ids) if path not in browsers}
    yield StaffPages(browsers | others, f"{staff.advisor.id}@example.org", ids["assessment_id"], ids["rescore_id"])
    async with api.sessions() as session:
        await session.execute(update(RoleRow).filter_by(id=ROLE_ID).values(**role._asdict()))
        for question_id, prompt in prompts:
            await session.execute(update(QuestionRow).filter_by(id=question_id).values(prompt=prompt))
        await session.commit()


def _paths(app: FastAPI, principal: Principal, ids: Mapping[str, str]) -> Iterator[str]:
    """Yield the paths of the pages for a principal. A parameter without a value in `ids` is an error."""
    for each in iter_route_contexts(app.routes):
        route = each.original_route
        if not isinstance(route, PageRoute) or "GET" not in (route.methods or ()) or route.name in NO_PAGES:
            continue
        if PAGE_PERMISSIONS[route.name] and route.name != "home_page" and may_open(principal, route.name):
            yield route.path_format.format(**ids)


async def _written(staff: Staff, platform_admin: Person) -> dict[str, str]:
    """Write one of everything. Return the ids for the paths."""
    student = await staff.student()
    first = await staff.graded(student, **FLAGGED)
    item_id = await staff.item_of(first)
    review = {"levels": levels_of(question_of(first, "text"), 0), "comment": HOSTILE}
    api, admin = staff.api, staff.advisor
    question_id = question_of(first, "text")["question_id"]
    path = f"/api/v1/assessments/{first['assessment_id']}/items/{question_id}/review"
    reviewed = await api.client.post(path, json=review, headers=admin.headers)
    assert reviewed.status_code == 202, reviewed.text
    second = await staff.graded(await staff.student())
    appeal = await opened(api, second["student"], second)
    failed = await api.start(await staff.student())
    rescore_id = await _rescored(api, admin, question_id)
    key = {"name": "Results", "scopes": ["results:read"], "expires_in_days": 1}
    await api.client.post("/api/v1/api-keys", json=key, headers=admin.headers)
    endpoint = {"url": "https://partner.example/hooks", "event_types": ["assessment.completed"]}
    made = (await api.client.post("/api/v1/webhooks/endpoints", json=endpoint, headers=admin.headers)).json()
    test = await api.client.post(f"/api/v1/webhooks/endpoints/{made['endpoint_id']}/test", headers=admin.headers)
    assert test.status_code == 202, test.text
    import_id = uuid4()
    async with api.sessions() as session:
        report = {"rows": [{"row": 1, "key": HOSTILE, "status": "added", "warnings": [HOSTILE]}]}
        counts = {"counts": {"added": 1, "changed": 0, "unchanged": 0, "withdrawn": 0}}
        session.add(
            CatalogImportRow(
                id=import_id,
                requested_by=platform_admin.id,
                status="succeeded",
                row_count=1,
                report=report | counts,
                credential_ids=[],
            )
        )
        await session.commit()
    return {
        "assessment_id": first["assessment_id"],
        "failed_id": failed["assessment_id"],
        "user_id": str(student.id),
        "cohort_id": await cohort(staff, "Spring", student),
        "item_id": item_id,
        "question_id": question_id,
        "appeal_id": appeal["appeal_id"],
        "rescore_id": rescore_id,
        "endpoint_id": made["endpoint_id"],
        "delivery_id": test.json()["delivery_id"],
        "import_id": str(import_id),
    }


async def _rescored(api: Api, admin: Person, question_id: str) -> str:
    """Return a computed re-score with hostile texts. Its students get hostile names."""
    levels = {"old_levels": {HOSTILE: HOSTILE}, "new_levels": {HOSTILE: "other"}}
    points = {"old_points": "1", "new_points": "0", "old_max_points": "1", "new_max_points": "1"}
    item = {"question_id": question_id, **points, **levels, "not_comparable": HOSTILE}
    skill = {"skill": HOSTILE, "old_score": "0.5", "new_score": None, "old_target": None, "new_target": None}
    course = {"credential_id": question_id, "title": HOSTILE}
    rescore_id, assessment_ids = await computed(
        api,
        admin,
        items=[item],
        skills=[skill],
        credentials_in=[course],
        credentials_out=[course],
        reached_targets=[HOSTILE],
        missed_targets=[HOSTILE],
        problem=HOSTILE,
    )
    async with api.sessions() as session:
        students = select(AssessmentRow.user_id).where(AssessmentRow.id.in_(map(UUID, assessment_ids)))
        await session.execute(update(UserRow).where(UserRow.id.in_(students)).values(name=NAME))
        await session.commit()
    return rescore_id


async def _poison(api: Api, organization_id: UUID, ids: Mapping[str, str]) -> None:
    own = {"organization_id": organization_id}
    rescore_id, delivery_id = UUID(ids["rescore_id"]), UUID(ids["delivery_id"])
    async with api.sessions() as session:
        mine = select(AssessmentRow.id).filter_by(**own)
        await session.execute(update(UserRow).filter_by(**own, role="student").values(name=NAME))
        await session.execute(update(CohortRow).filter_by(**own).values(name=NAME))
        await session.execute(update(ApiKeyRow).filter_by(**own).values(name=NAME))
        await session.execute(update(WebhookEndpointRow).filter_by(**own).values(url=f"https://x.example/{HOSTILE}"))
        await session.execute(update(AppealRow).filter_by(**own).values(reason=HOSTILE))
        await session.execute(update(RescoreRow).filter_by(id=rescore_id).values(reason=HOSTILE))
        failed = update(AssessmentRow).filter_by(id=UUID(ids["failed_id"]))
        await session.execute(failed.values(status="failed", failure_reason="engine_failed"))
        await session.execute(update(RoleRow).filter_by(id=ROLE_ID).values(name=NAME, description=HOSTILE))
        await session.execute(update(QuestionRow).filter_by(role_id=ROLE_ID).values(prompt=HOSTILE))
        snapshots = select(QuestionSnapshotRow).where(QuestionSnapshotRow.assessment_id.in_(mine))
        for row in (await session.scalars(snapshots)).all():
            row.prompt, row.rubric = HOSTILE, with_text(row.rubric, _RUBRIC)
        essays = select(QuestionSnapshotRow.id).where(
            QuestionSnapshotRow.assessment_id.in_(mine), QuestionSnapshotRow.kind == "text"
        )
        written = update(ResponseRow).where(ResponseRow.question_snapshot_id.in_(essays))
        await session.execute(written.values(answer=HOSTILE))
        scores = select(EssayScoreRow).where(EssayScoreRow.assessment_id.in_(mine))
        for score in (await session.scalars(scores)).all():
            score.response_payload = with_text(score.response_payload, _REPLY)
        revisions = select(ResultRevisionRow).where(ResultRevisionRow.assessment_id.in_(mine))
        for revision in (await session.scalars(revisions)).all():
            revision.document = replaced(revision.document, HOSTILE)
        delivery = await session.get_one(WebhookDeliveryRow, delivery_id)
        delivery.status, delivery.attempts, delivery.response_code = "dead_letter", 1, 500
        session.add(
            WebhookAttemptRow(
                id=uuid4(),
                delivery_id=delivery_id,
                n=1,
                outcome="refused",
                response_code=500,
                response_excerpt=HOSTILE,
                latency_ms=1,
            )
        )
        await session.commit()


def with_text(value: Any, keys: frozenset[str]) -> Any:
    """Return the document with hostile texts at these keys."""
    match value:
        case dict():
            return {
                key: HOSTILE if key in keys and isinstance(each, str) else with_text(each, keys)
                for key, each in value.items()
            }
        case list():
            return [with_text(each, keys) for each in value]
        case _:
            return value
