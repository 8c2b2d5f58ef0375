"""Links to runs in Temporal's Web UI."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from fastapi import FastAPI
from pydantic import ValidationError

from api.settings import ApiSettings
from tests.api.conftest import Api
from tests.pages.advisors import Staff
from tests.pages.conftest import Browser

SECRET = "a-secret-for-tests-of-32-bytes-or-more"
UI = "https://temporal.example.org"


@pytest.fixture
def web_ui(app: FastAPI) -> Iterator[None]:
    services = app.state.services
    linked = services.settings.model_copy(update={"temporal_ui_url": UI, "temporal_namespace": "north"})
    app.state.services = replace(services, settings=linked)
    yield
    app.state.services = services


@pytest.mark.usefixtures("web_ui")
async def test_the_staff_reach_the_run_of_an_assessment(staff: Staff) -> None:
    started = await staff.graded()

    page = await staff.page(f"/assessments/{started['assessment_id']}")

    assert f'href="{UI}/namespaces/north/workflows/assessment-{started["assessment_id"]}"' in page


@pytest.mark.usefixtures("web_ui")
async def test_an_assessment_whose_student_is_hidden_has_no_link(staff: Staff) -> None:
    started = await staff.waiting()
    await staff.set(blind=True, audit_share=0.0)

    page = await staff.page(f"/assessments/{started['assessment_id']}")

    assert ("name hidden" in page, UI in page) == (True, False)


@pytest.mark.usefixtures("web_ui")
async def test_students_get_no_link(api: Api, new_browser: Callable[[], Browser], password_hash: str) -> None:
    student = await api.person(password_hash=password_hash)
    publication = await api.completed(student)
    browser = new_browser()
    await browser.sign_in(student)

    page = await browser.open(f"/assessments/{publication.assessment_id}/result")

    assert (page.status_code, UI in page.text) == (200, False)


async def test_without_a_web_ui_there_is_no_link(staff: Staff) -> None:
    started = await staff.graded()

    page = await staff.page(f"/assessments/{started['assessment_id']}")

    assert "/workflows/assessment-" not in page


@pytest.mark.parametrize("url", ["javascript:alert(1)", "temporal.example.org", "https://a.example/?q"])
def test_an_address_that_is_no_web_address_stops_the_start(url: str) -> None:
    with pytest.raises(ValidationError):
        ApiSettings(jwt_secret=SECRET, temporal_ui_url=url)
