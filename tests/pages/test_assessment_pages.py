"""Assessments for advisors: the list, filters, the export, releases, and the page of one assessment."""

import csv
import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID

from tests.api.conftest import Api
from tests.pages.advisors import FLAGGED, Staff
from tests.pages.conftest import Browser
from tests.support.failing_writes import SECRET, failing_writes


async def held(staff: Staff) -> str:
    """Publish a result that is held; return the assessment's id."""
    await staff.set(release="all_held", audit_share=0.0)
    return str((await staff.graded())["assessment_id"])


async def test_the_list_names_students_and_what_needs_attention(staff: Staff) -> None:
    await staff.waiting(name="Ada Example")

    page = await staff.page("/assessments")

    for shown in ("Ada Example", "Data analyst", "Completed", ">Flagged<"):
        assert shown in page


async def test_search_and_filters_narrow_the_list(staff: Staff) -> None:
    await staff.graded(await staff.student(name="Ada Example"))
    await staff.waiting(name="Grace Other")

    found = await staff.page("/assessments?q=ada&status=&role_id=&released=&needs_review=")
    doubtful = await staff.page("/assessments?needs_review=true")
    none = await staff.page("/assessments?status=failed")

    assert ("Ada Example" in found, "Grace Other" in found) == (True, False)
    assert ("Ada Example" in doubtful, "Grace Other" in doubtful) == (False, True)
    assert "No assessment matches the filter" in none


async def test_the_export_escapes_cells_that_a_spreadsheet_would_run(staff: Staff) -> None:
    for name in ("=1+1", "+1", "-1", "@A1", "Ada, Example"):
        await staff.graded(await staff.student(name=name))

    answer = await staff.open("/assessments/export?status=completed")

    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert {row["student"] for row in rows} == {"'=1+1", "'+1", "'-1", "'@A1", "Ada, Example"}
    assert answer.headers["Content-Type"].startswith("text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]


async def test_a_spreadsheet_recognizes_that_the_export_is_utf8(staff: Staff) -> None:
    await staff.graded(await staff.student(name="Zoë Müller"))

    content = (await staff.open("/assessments/export")).content

    assert content.startswith(b"\xef\xbb\xbfassessment_id,")
    assert "Zoë Müller".encode() in content


async def test_a_held_result_is_released_from_its_page(staff: Staff) -> None:
    path = f"/assessments/{await held(staff)}"
    before = await staff.page(path)

    answer = await staff.send(f"{path}/release")

    assert ("Release to the student" in before, ">Held<" in before) == (True, True)
    assert answer.headers["Location"] == f"{path}?done=released"
    after = await staff.page(answer.headers["Location"])
    assert ("Release to the student" in after, "The result is released" in after) == (False, True)


async def test_selected_results_are_released_and_the_others_are_explained(staff: Staff) -> None:
    first, second = await held(staff), await held(staff)
    await staff.send(f"/assessments/{second}/release")

    answer = await staff.send("/assessments/releases", **{"id.1": first, "id.2": second}, action="selected")

    assert "1 result is released." in answer.text
    assert "was released before" in answer.text
    assert (await staff.api.get(staff.advisor, f"/assessments/{first}")).json()["released"] is True


async def test_an_error_about_one_selected_result_is_explained(staff: Staff) -> None:
    first, second = await held(staff), await held(staff)

    async with failing_writes(staff.api.sessions, UUID(second)):
        answer = await staff.send("/assessments/releases", **{"id.1": first, "id.2": second}, action="selected")

    assert "1 result is released." in answer.text
    assert "an unexpected error occurred" in answer.text
    assert SECRET not in answer.text


async def test_releasing_nothing_leads_back_to_the_list_with_an_advice(staff: Staff) -> None:
    answer = await staff.send("/assessments/releases", action="selected", released="false")

    assert answer.headers["Location"] == "/assessments?released=false&done=nothing_selected"
    assert "Select at least one result." in await staff.page(answer.headers["Location"])


async def test_all_held_results_of_a_list_are_released_after_a_confirmation(staff: Staff) -> None:
    ids = [await held(staff), await held(staff)]

    question = await staff.send("/assessments/releases", action="all", released="false")
    answer = await staff.send("/assessments/releases", action="all", released="false", confirmed="yes")

    assert "2 results are held." in question.text
    assert "2 results are released." in answer.text
    statuses = [(await staff.api.get(staff.advisor, f"/assessments/{each}")).json() for each in ids]
    assert all(status["released"] for status in statuses)


async def test_all_is_refused_with_a_filter_that_a_release_does_not_know(staff: Staff) -> None:
    sent = {"action": "all", "released": "false", "q": "ada", "confirmed": "yes"}

    assert (await staff.send("/assessments/releases", **sent)).status_code == 400


async def test_the_page_shows_answers_levels_and_the_history_of_reviews(staff: Staff) -> None:
    started = await staff.waiting(name="Ada Example")
    item = await staff.item_of(started)
    await staff.send(f"/reviews/items/{item}/claim")
    await staff.send(f"/reviews/items/{item}/decision", action="confirm", revision="1", comment="I agree.")

    page = await staff.page(f"/assessments/{started['assessment_id']}")

    for shown in ("Ada Example", "The query groups by customer", "I agree.", f"/reviews/items/{item}", "Version 1"):
        assert shown in page


async def test_the_result_page_says_whose_result_it_is(staff: Staff) -> None:
    graded = await staff.graded(await staff.student(name="Ada Example"))

    page = await staff.page(f"/assessments/{graded['assessment_id']}/result")

    assert "Ada Example" in page


async def test_the_result_page_does_not_call_the_answers_of_a_student_those_of_the_advisor(staff: Staff) -> None:
    waiting = await staff.waiting()

    page = await staff.page(f"/assessments/{waiting['assessment_id']}/result")

    assert re.search(r"written answers? will be checked by a reviewer", page)
    assert not re.search(r"\byour (written )?answer", page, re.IGNORECASE)


async def test_a_failed_assessment_is_run_again_by_admins_only(
    api: Api, new_browser: Callable[[], Browser], password_hash: str
) -> None:
    staff = await Staff.of(api, new_browser, password_hash, role="admin")
    student = await staff.student()
    started = await api.start(student)
    await api.submit(student, started)
    failed = {
        "status": "failed",
        "failure_reason": "The model replied with nonsense",
        "completed_at": datetime.now(UTC),
    }
    await api.set(started["assessment_id"], **failed)
    path = f"/assessments/{started['assessment_id']}"
    _, advisor = await staff.colleague()

    refused = await advisor.send(f"{path}/rerun")
    answer = await staff.send(f"{path}/rerun")

    assert refused.status_code == 403
    assert answer.headers["Location"] == f"{path}?done=rerun"
    assert (await api.get(staff.advisor, path)).json()["status"] == "awaiting_async"


async def test_a_retry_without_anything_to_heal_is_explained(staff: Staff) -> None:
    started = await staff.graded()

    answer = await staff.send(f"/assessments/{started['assessment_id']}/retry")

    assert answer.status_code == 409
    assert "This is no longer possible" in answer.text


async def test_assessments_of_another_organization_do_not_exist(staff: Staff) -> None:
    elsewhere = await Staff.of(staff.api, staff.open_browser, staff.password_hash)
    path = f"/assessments/{(await staff.graded(**FLAGGED))['assessment_id']}"

    statuses = [(await elsewhere.open(path)).status_code, (await elsewhere.send(f"{path}/release")).status_code]

    assert statuses == [404, 404]
    assert "There is no assessment yet" in await elsewhere.page("/assessments")
