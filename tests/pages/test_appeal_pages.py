"""Appeals for advisors: open ones by due time, answers with levels or a message."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import update

from persistence.tables import AppealRow
from tests.api.appeals.appeal_requests import REASON, opened, read
from tests.api.conftest import question_of
from tests.pages.advisors import Staff


async def appealed(staff: Staff, **columns: Any) -> tuple[dict[str, Any], str]:
    """Open an appeal of the first essay of a new result; return what the student had started and the appeal's id."""
    started = await staff.graded(await staff.student(**columns))
    appeal = await opened(staff.api, started["student"], started)
    return started, str(appeal["appeal_id"])


async def make_due(staff: Staff, appeal_id: str, when: datetime) -> None:
    async with staff.api.sessions() as session:
        theirs = update(AppealRow).where(AppealRow.id == UUID(appeal_id))
        await session.execute(theirs.values(answer_due_at=when, overdue_at=when, reminder_due_at=when))
        await session.commit()


def highest(started: dict[str, Any]) -> dict[str, str]:
    criteria = question_of(started, "text")["rubric"]["criteria"]
    return {f"level.{number}": each["levels"][-1]["name"] for number, each in enumerate(criteria, 1)}


async def test_open_appeals_are_listed_with_the_overdue_one_first(staff: Staff) -> None:
    await appealed(staff, name="Newcomer Example")
    _, late = await appealed(staff, name="Late Example")
    await make_due(staff, late, datetime.now(UTC) - timedelta(days=1))

    page = await staff.page("/appeals")

    assert page.index("Late Example") < page.index("Newcomer Example")
    assert page.count(">Overdue</span>") == 1


async def test_an_open_appeal_is_answered_by_a_link_with_a_verb_in_german(staff: Staff) -> None:
    await appealed(staff)

    page = (await staff.browser.open("/appeals", **{"Accept-Language": "de"})).text

    assert ">Beantworten<" in page


async def test_the_page_of_an_appeal_shows_the_reason_and_the_answer(staff: Staff) -> None:
    _, appeal_id = await appealed(staff)

    page = await staff.page(f"/appeals/{appeal_id}")

    assert REASON in page
    assert "The query groups by customer" in page


async def test_upholding_stores_the_levels(staff: Staff) -> None:
    started, appeal_id = await appealed(staff)

    answer = await staff.send(
        f"/appeals/{appeal_id}/answer", outcome="upheld", message="You are right.", **highest(started)
    )

    assert answer.headers["Location"] == "/appeals?done=appeal_answered", answer.text
    stored = await read(staff.api, started["student"], appeal_id)
    assert (stored["state"], stored["message"]) == ("upheld", "You are right.")
    review = next(item["reviews"][0] for item in await staff.items(started) if item["reviews"])
    assert list(review["levels"].values()) == list(highest(started).values())


async def test_a_rejection_needs_a_message(staff: Staff) -> None:
    started, appeal_id = await appealed(staff)

    refused = await staff.send(f"/appeals/{appeal_id}/answer", outcome="rejected", message="  ")
    answer = await staff.send(f"/appeals/{appeal_id}/answer", outcome="rejected", message="It names no check.")

    assert (refused.status_code, "Write to the student why" in refused.text) == (400, True)
    assert answer.status_code == 303
    assert (await read(staff.api, started["student"], appeal_id))["state"] == "rejected"


async def test_an_answer_without_an_outcome_is_asked_for(staff: Staff) -> None:
    _, appeal_id = await appealed(staff)

    answer = await staff.send(f"/appeals/{appeal_id}/answer", message="Kept.")

    assert answer.status_code == 400
    assert "Choose whether you uphold or reject" in answer.text
    assert ">Kept.</textarea>" in answer.text


async def test_a_second_answer_is_refused_in_plain_words(staff: Staff) -> None:
    _, appeal_id = await appealed(staff)
    rejection = {"outcome": "rejected", "message": "It names no check."}
    await staff.send(f"/appeals/{appeal_id}/answer", **rejection)

    again = await staff.send(f"/appeals/{appeal_id}/answer", **rejection)

    assert again.status_code == 409
    assert "The appeal is closed already. Its state: Rejected" in again.text


async def test_the_desk_sends_an_appealed_essay_to_its_appeal(staff: Staff) -> None:
    started, appeal_id = await appealed(staff)

    answer = await staff.open(f"/reviews/items/{await staff.item_of(started)}")

    assert (answer.status_code, answer.headers["Location"]) == (303, f"/appeals/{appeal_id}")


async def test_appeals_of_another_organization_do_not_exist(staff: Staff) -> None:
    _, appeal_id = await appealed(staff)
    elsewhere = await Staff.of(staff.api, staff.open_browser, staff.password_hash)

    assert (await elsewhere.open(f"/appeals/{appeal_id}")).status_code == 404
    assert "No appeal is open" in await elsewhere.page("/appeals")
