"""The admin's home page, the audit log, the cost, and the pages of platform admins."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from fastapi import FastAPI
from sqlalchemy import insert, select

from api.pages.permissions import PAGE_PERMISSIONS
from api.security.authorization import ROUTE_PERMISSIONS, CallerRole
from persistence.content.catalog_rows import COLUMNS
from persistence.tables import (
    AssessmentRow,
    ModelSpendingRow,
    OrganizationRow,
    UserRow,
    WebhookEndpointRow,
)
from tests.api.conftest import Api, Person, runs  # noqa: F401  # fixture
from tests.pages.admin import admin, platform_admin, signed_in_as, unique, upload  # noqa: F401  # fixtures
from tests.pages.conftest import Browser
from tests.support.builders import an_organization
from tests.support.fake_engine import RecordingRuns

OPEN = {
    "/admin/attention": "admin_home_page",
    "/admin/people": "people_page",
    "/admin/people/new": "new_person_page",
    "/admin/people/import": "roster_page",
    "/admin/cohorts": "cohorts_page",
    "/admin/settings": "settings_page",
    "/admin/webhooks": "webhooks_page",
    "/admin/webhooks/new": "new_endpoint_page",
    "/admin/deliveries": "deliveries_page",
    "/admin/api-keys": "api_keys_page",
    "/admin/audit": "audit_page",
    "/admin/cost": "cost_page",
    "/platform/organizations": "organizations_page",
    "/platform/organizations/new": "new_organization_page",
    "/platform/catalog": "catalog_page",
}
"""Pages without an id in their path."""


@pytest.fixture
async def empty_organization(api: Api) -> UUID:
    async with api.sessions() as session:
        organization = await an_organization(session)
        await session.commit()
    return organization


@pytest.mark.parametrize("role", [CallerRole.STUDENT, CallerRole.ADVISOR, CallerRole.ADMIN, CallerRole.PLATFORM_ADMIN])
async def test_each_page_is_open_to_those_who_may_use_its_rest_routes(
    api: Api, browser: Browser, password_hash: str, role: CallerRole
) -> None:
    await signed_in_as(api, browser, role.value, password_hash)

    statuses = {path: (await browser.open(path)).status_code for path in OPEN}

    expected = {}
    for path, page in OPEN.items():
        allowed = [role in (ROUTE_PERMISSIONS[route] or ()) for route in PAGE_PERMISSIONS[page] or ()]
        expected[path] = 200 if all(allowed) else 403
    assert statuses == expected
    if role in {CallerRole.STUDENT, CallerRole.ADVISOR}:
        assert set(statuses.values()) == {403}


@pytest.mark.parametrize("role", ["student", "advisor"])
async def test_forms_of_admins_are_closed_to_others(api: Api, browser: Browser, password_hash: str, role: str) -> None:
    person = await signed_in_as(api, browser, role, password_hash)
    paths = (
        "/admin/people/new",
        f"/admin/people/{person.id}",
        f"/admin/people/{person.id}/status",
        f"/admin/people/{person.id}/password",
        f"/admin/people/{person.id}/erase",
        "/admin/cohorts",
        "/admin/settings",
        "/admin/webhooks/new",
        f"/admin/webhooks/{uuid4()}/rotate-secret",
        f"/admin/deliveries/{uuid4()}/redeliver",
        "/admin/api-keys",
        f"/admin/assessments/{uuid4()}/rerun",
        "/platform/organizations/new",
        "/platform/catalog",
    )

    assert {path: (await browser.send(path)).status_code for path in paths} == dict.fromkeys(paths, 403)


@pytest.mark.usefixtures("admin")
async def test_the_navigation_shows_only_pages_that_open(browser: Browser) -> None:
    page = (await browser.open("/admin/attention")).text
    navigation = page.partition("<nav ")[2].rpartition("</nav>")[0]
    paths = [each.partition('"')[0] for each in navigation.split('href="')[1:]]

    assert {"/admin/attention", "/admin/people", "/admin/webhooks"} <= set(paths)
    assert "/platform/organizations" not in paths
    assert [(await browser.open(path)).status_code for path in paths] == [200] * len(paths)


async def test_an_admin_without_problems_is_told_so(
    api: Api, browser: Browser, password_hash: str, empty_organization: UUID
) -> None:
    await signed_in_as(api, browser, "admin", password_hash, of=empty_organization)

    assert (await browser.open("/")).headers["Location"] == "/admin/attention"
    assert "Nothing needs your attention" in (await browser.open("/admin/attention")).text


async def test_the_home_page_counts_what_needs_attention(
    api: Api, browser: Browser, password_hash: str, empty_organization: UUID
) -> None:
    await signed_in_as(api, browser, "admin", password_hash, of=empty_organization)
    learner = await api.person(of=empty_organization, name="Ada Failed")
    started = await api.start(learner)
    await api.set(started["assessment_id"], status="failed", failure_reason="content_missing")
    expired = await api.start(await api.person(of=empty_organization))
    await api.set(expired["assessment_id"], status="failed", failure_reason="expired")
    async with api.sessions() as session:
        await session.execute(
            insert(WebhookEndpointRow).values(
                id=uuid4(),
                organization_id=empty_organization,
                url="https://partner.example",
                event_types=["assessment.completed"],
                secret=b"",
                enabled=False,
            )
        )
        await session.commit()

    page = (await browser.open("/admin/attention")).text

    assert "assessment could not be graded" in page
    assert "webhook endpoint is disabled" in page
    assert "Ada Failed" in page
    assert page.count("Run again") == 1


@pytest.mark.usefixtures("admin")
async def test_a_failed_assessment_is_run_again(
    api: Api,
    browser: Browser,
    runs: RecordingRuns,  # noqa: F811
) -> None:
    learner = await api.person()
    started = await api.start(learner)
    await api.submit(learner, started)
    await api.set(started["assessment_id"], status="failed", failure_reason="content_missing")

    answers = [await browser.send(f"/admin/assessments/{started['assessment_id']}/rerun") for _ in range(2)]

    assert [each.headers["Location"] for each in answers] == [
        "/admin/attention?done=rerun",
        "/admin/attention?done=not_rerun",
    ]
    async with api.sessions() as session:
        found = select(AssessmentRow.status, AssessmentRow.run).where(
            AssessmentRow.id == UUID(started["assessment_id"])
        )
        assert tuple((await session.execute(found)).one()) == ("awaiting_async", 2)
    assert runs.submitted[-1] == UUID(started["assessment_id"])


@pytest.fixture
def budget_of_a_dollar(app: FastAPI, api: Api) -> Iterator[None]:
    settings = api.services.settings.model_copy(update={"essay_budget_cents_per_day": Decimal(100)})
    app.state.services = replace(api.services, settings=settings)
    yield
    app.state.services = api.services


@pytest.mark.usefixtures("budget_of_a_dollar")
@pytest.mark.parametrize(("cents", "warned"), [(79, False), (80, True), (100, True)])
async def test_a_nearly_spent_budget_is_a_warning(  # the fixtures
    api: Api, browser: Browser, password_hash: str, empty_organization: UUID, cents: int, *, warned: bool
) -> None:
    await signed_in_as(api, browser, "admin", password_hash, of=empty_organization)
    async with api.sessions() as session:
        row = {"organization_id": empty_organization, "day": datetime.now(UTC).date(), "cents": cents}
        await session.execute(insert(ModelSpendingRow).values(row))
        await session.commit()

    home, cost = (await browser.open("/admin/attention")).text, (await browser.open("/admin/cost")).text

    assert ("budget for language models" in home) is warned
    assert f"({cents}\u00a0%)" in cost


async def test_the_audit_log_is_filtered_and_belongs_to_the_organization(
    api: Api,
    admin: Person,  # noqa: F811
    browser: Browser,
    new_browser: Callable[[], Browser],
    password_hash: str,
) -> None:
    name = unique("Audited")
    await browser.send("/admin/cohorts", {"name": name})
    other = new_browser()
    await signed_in_as(api, other, "admin", password_hash, elsewhere=True)

    path = f"/admin/audit?action=cohort.created&resource_type=&actor_id={admin.id}"
    mine, theirs = (await browser.open(path)).text, (await other.open(path)).text

    assert (mine.count("cohort.created") > 1, "No entry matches" in theirs) == (True, True)


async def test_the_audit_log_offers_known_actions_and_finds_a_person_by_address(
    api: Api,
    admin: Person,  # noqa: F811
    browser: Browser,
) -> None:
    await browser.send("/admin/cohorts", {"name": unique("Audited")})
    other = await api.person("admin")
    address = f"{admin.id}@example.org"

    shown = (await browser.open(f"/admin/audit?action=cohort.created&actor={address}")).text
    linked = (await browser.open(f"/admin/audit?actor_id={admin.id}")).text
    nothing = (await browser.open(f"/admin/audit?action=cohort.created&actor={other.id}@example.org")).text

    assert '<option value="cohort.created" selected>cohort.created</option>' in shown
    assert f'<option value="{address}">' in shown
    assert f"/admin/audit?actor_id={admin.id}" in shown
    assert f'value="{address}"' in linked
    assert "No entry matches" in nothing


@pytest.mark.usefixtures("admin")
@pytest.mark.parametrize(
    "query", ["action=DROP", "resource_id=1", "actor_id=x", "actor=nobody%40example.org", "actor=nobody"]
)
async def test_a_wrong_filter_is_named(browser: Browser, query: str) -> None:
    answer = await browser.open(f"/admin/audit?{query}")

    assert (answer.status_code, "There is a problem" in answer.text) == (400, True)


async def test_a_platform_admin_adds_an_organization_with_its_first_admin(
    api: Api,
    platform_admin: tuple[Person, Browser],  # noqa: F811
) -> None:
    _, browser = platform_admin
    name, email = unique("Organization"), f"{unique('first')}@example.org"
    sent = {"name": name, "email": email, "password": "a first password to replace"}

    refused = await browser.send("/platform/organizations/new", sent | {"email": "no address"})
    answer = await browser.send("/platform/organizations/new", sent)

    assert (refused.status_code, "E-mail address: " in refused.text) == (400, True)
    assert sent["password"] not in refused.text
    assert name in (await browser.open(answer.headers["Location"])).text
    async with api.sessions() as session:
        made = select(UserRow.role).join(OrganizationRow, OrganizationRow.id == UserRow.organization_id)
        assert await session.scalar(made.where(OrganizationRow.name == name)) == "admin"


def catalog(key: str, *, title: str = "SQL basics") -> str:
    values = {
        "key": key,
        "title": title,
        "description": "Learn to query tables with SQL.",
        "skills": "SQL querying",
        "provider": "Example School",
        "level": "foundation",
        "hours": "10",
        "source_uri": "https://school.example/sql",
    }
    return f"{','.join(each for each in COLUMNS if each in values)}\n" + ",".join(
        values[each] for each in COLUMNS if each in values
    )


async def test_a_catalogue_import_ends_with_a_report_by_row(
    platform_admin: tuple[Person, Browser],  # noqa: F811
) -> None:
    _, browser = platform_admin
    key = unique("sql")

    answer = await upload(browser, "/platform/catalog", catalog(key))
    report = await browser.open(answer.headers["Location"])

    assert (report.status_code, key in report.text) == (200, True)
    assert answer.headers["Location"].partition("?")[0] in (await browser.open("/platform/catalog")).text


async def test_a_refused_catalogue_names_its_rows(platform_admin: tuple[Person, Browser]) -> None:  # noqa: F811
    _, browser = platform_admin

    answer = await upload(browser, "/platform/catalog", catalog(unique("sql"), title=""))

    assert (answer.status_code, "Row 1: title" in answer.text) == (400, True)
    assert "Row 1 is the first row below the header" in answer.text
