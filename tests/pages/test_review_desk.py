"""The review desk by forms: the queue, claims, decisions, conflicts in plain words, blind reviews."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlalchemy import update

from api.pages.essay_view import Segment, segments
from domain.grading.quotes import LocatedQuote
from persistence.tables import ReviewItemRow
from tests.api.conftest import question_of
from tests.pages.advisors import Staff
from tests.pages.conftest import ORIGIN
from tests.pages.test_overview import cohort


async def claimed(staff: Staff, started: dict[str, object]) -> str:
    """Claim the first essay of the assessment; return the path of its desk."""
    path = f"/reviews/items/{await staff.item_of(started)}"
    answer = await staff.send(f"{path}/claim")
    assert answer.headers["Location"] == path, answer.text
    return path


async def test_the_queue_shows_who_waits_why_and_for_how_long(staff: Staff) -> None:
    await staff.waiting(name="Ada Example")

    page = await staff.page("/reviews")

    assert "2 essays wait." in page
    for shown in ("Ada Example", "Data analyst", ">Flagged<", "0 min"):
        assert shown in page


async def test_an_empty_queue_says_what_appears_there(staff: Staff) -> None:
    assert "No essay waits for a review" in await staff.page("/reviews")


async def test_the_filter_by_reason_narrows_the_queue(staff: Staff) -> None:
    await staff.waiting()

    assert "No essay matches the filter" in await staff.page("/reviews?reason=appealed&role_id=&cohort_id=")
    assert "2 essays wait." in await staff.page("/reviews?reason=flagged&role_id=&cohort_id=")


async def test_a_wrong_filter_is_an_error_page(staff: Staff) -> None:
    assert (await staff.open("/reviews?reason=boring")).status_code == 400


async def test_claim_next_opens_the_desk_and_keeps_the_filter(staff: Staff) -> None:
    await staff.waiting()

    answer = await staff.send("/reviews/next", reason="flagged", role_id="")

    location = answer.headers["Location"]
    assert (answer.status_code, location.endswith("?reason=flagged")) == (303, True)
    page = await staff.page(location)
    assert "Set levels and next" in page
    assert 'name="reason" value="flagged"' in page


async def test_claim_next_of_an_empty_queue_says_so(staff: Staff) -> None:
    assert (await staff.send("/reviews/next")).headers["Location"] == "/reviews?done=queue_empty"


async def test_the_desk_shows_the_answer_and_every_level_with_its_rating(staff: Staff) -> None:
    started = await staff.waiting()

    page = await staff.page(await claimed(staff, started))

    question = question_of(started, "text")
    assert "The query groups by customer" in page
    for criterion in question["rubric"]["criteria"]:
        assert criterion["name"] in page
        for level in criterion["levels"]:
            assert level["descriptor"] in page


async def test_confirming_stores_a_review_and_opens_the_next_essay(staff: Staff) -> None:
    started = await staff.waiting()
    path = await claimed(staff, started)

    answer = await staff.send(f"{path}/decision", action="confirm", revision="1", reason="flagged")

    location = answer.headers["Location"]
    assert location.startswith("/reviews/items/")
    assert location != path
    assert location.endswith("?reason=flagged&done=review_stored")
    assert "Your review is stored" in await staff.page(location)
    assert [len(item["reviews"]) for item in await staff.items(started) if item["type"] == "essay"] == [1, 0]


async def test_set_levels_and_the_comment_are_stored(staff: Staff) -> None:
    started = await staff.waiting()
    path = await claimed(staff, started)
    criteria = question_of(started, "text")["rubric"]["criteria"]
    levels = {f"level.{number}": each["levels"][-1]["name"] for number, each in enumerate(criteria, 1)}

    await staff.send(f"{path}/decision", action="set", revision="1", comment="Well\r\nchecked.", **levels)

    review = next(item["reviews"][0] for item in await staff.items(started) if item["reviews"])
    assert review["levels"] == {each["key"]: each["levels"][-1]["name"] for each in criteria}
    assert review["comment"] == "Well\nchecked."


async def test_the_last_decision_leads_back_to_the_queue(staff: Staff) -> None:
    started = await staff.waiting()
    others = [item["question_id"] for item in await staff.items(started) if item["type"] == "essay"]
    await staff.send(f"/reviews/items/{await staff.item_of(started, others[1])}/claim")
    path = await claimed(staff, started)

    answer = await staff.send(f"{path}/decision", action="confirm", revision="1")

    assert answer.headers["Location"] == "/reviews?done=review_stored"


async def test_confirming_with_a_changed_level_is_not_guessed(staff: Staff) -> None:
    started = await staff.waiting()
    path = await claimed(staff, started)
    essay = next(item for item in await staff.items(started) if item["type"] == "essay")
    levels = [level["name"] for level in essay["rubric"]["criteria"][0]["levels"]]
    other = next(level for level in levels if level != essay["score"]["criteria"][0]["level"])

    answer = await staff.send(f"{path}/decision", **{"level.1": other}, action="confirm", revision="1")

    assert answer.status_code == 400
    assert "You have changed the level" in answer.text
    assert not any(item["reviews"] for item in await staff.items(started))


async def test_missing_levels_are_named_and_the_comment_is_kept(staff: Staff) -> None:
    path = await claimed(staff, await staff.waiting())

    answer = await staff.send(f"{path}/decision", action="set", revision="1", comment="Half done")

    assert answer.status_code == 400
    assert "Choose a level for" in answer.text
    assert ">Half done</textarea>" in answer.text


async def test_too_long_a_comment_is_explained(staff: Staff) -> None:
    path = await claimed(staff, await staff.waiting())

    answer = await staff.send(f"{path}/decision", action="confirm", revision="1", comment="x" * 4001)

    assert (answer.status_code, "Write at most 4000 characters." in answer.text) == (400, True)


async def test_someone_else_on_the_essay_is_named(staff: Staff) -> None:
    started = await staff.waiting()
    colleague, browser = await staff.colleague()
    path = f"/reviews/items/{await staff.item_of(started)}"
    await browser.send(f"{path}/claim")

    refused = await staff.send(f"{path}/claim")

    assert refused.status_code == 409
    assert "Someone else is on it" in refused.text
    assert f"{colleague.id}@example.org is working on this essay until" in refused.text
    assert f"{colleague.id}@example.org" in await staff.page("/reviews")


async def test_a_decision_on_an_older_revision_shows_the_newer_one_and_keeps_the_input(staff: Staff) -> None:
    path = await claimed(staff, await staff.waiting())

    answer = await staff.send(f"{path}/decision", action="confirm", revision="2", comment="Seen")

    assert answer.status_code == 409
    assert "The result has changed" in answer.text
    assert "It has version 1 now" in answer.text
    assert ">Seen</textarea>" in answer.text


async def test_a_decided_essay_says_so_and_links_the_assessment(staff: Staff) -> None:
    started = await staff.waiting()
    path = await claimed(staff, started)
    await staff.send(f"{path}/decision", action="confirm", revision="1")

    again = await staff.send(f"{path}/decision", action="confirm", revision="1")

    assert again.status_code == 409
    assert "This essay does not wait for a review any more" in again.text
    assert f"/assessments/{started['assessment_id']}" in again.text


async def test_a_decision_without_a_claim_stores_nothing(staff: Staff) -> None:
    path = f"/reviews/items/{await staff.item_of(await staff.waiting())}"

    answer = await staff.send(f"{path}/decision", action="confirm", revision="1")

    assert (answer.status_code, "Your claim has ended" in answer.text) == (409, True)


async def test_giving_an_essay_back_lets_others_take_it(staff: Staff) -> None:
    path = await claimed(staff, await staff.waiting())

    answer = await staff.send(f"{path}/release", reason="flagged")

    assert answer.headers["Location"] == "/reviews?reason=flagged&done=claim_released"
    assert "You are working on" not in await staff.page("/reviews")


async def test_a_script_renews_the_claim(staff: Staff) -> None:
    started = await staff.waiting()
    path = await claimed(staff, started)
    soon = datetime.now(UTC) + timedelta(seconds=30)
    async with staff.api.sessions() as session:
        item = UUID(path.rpartition("/")[2])
        theirs = update(ReviewItemRow).where(ReviewItemRow.question_snapshot_id == item)
        await session.execute(theirs.values(claimed_until=soon))
        await session.commit()
    headers = {"Origin": ORIGIN, "Accept": "application/json", "X-CSRF-Token": await staff.browser.csrf()}

    answer = await staff.browser.client.post(f"{path}/renewal", headers=headers)

    assert datetime.fromisoformat(answer.json()["expires_at"]) > soon + timedelta(minutes=10)


async def test_a_blind_organization_sees_no_name_before_the_decision(staff: Staff) -> None:
    started = await staff.waiting(name="Ada Example")
    await staff.set(blind=True, audit_share=0.0)
    path = await claimed(staff, started)
    assessment = f"/assessments/{started['assessment_id']}"

    paths = ("/reviews", path, "/assessments", "/assessments/export", assessment, f"{assessment}/result")
    pages = [await staff.page(each) for each in paths]

    for page in pages:
        assert "Ada Example" not in page
        assert str(started["student"].id) not in page


async def test_the_page_of_a_student_leaves_out_an_undecided_result_of_a_blind_organization(staff: Staff) -> None:
    started = await staff.waiting(name="Ada Example")
    decided = await staff.graded(await staff.student(name="Grace Example"))
    skill = (await staff.result_of(started))["skills"][0]["skill"]
    await staff.rate_courses(started, comments="This fits.")
    await staff.set(blind=True, audit_share=0.0)

    undecided, shown = [await staff.page(f"/students/{each['student'].id}") for each in (started, decided)]

    assert [text in undecided for text in (started["assessment_id"], skill, "This fits.")] == [False, False, False]
    assert [text in shown for text in (decided["assessment_id"], skill)] == [True, True]
    assert "are left out until it is decided" in undecided


async def test_the_skills_of_a_cohort_leave_out_undecided_results_of_a_blind_organization(staff: Staff) -> None:
    started = await staff.waiting(name="Ada Example")
    cohort_id = await cohort(staff, "Spring", started["student"])
    figures = staff.api.services.pages.advisor.cohort_skills

    before = [(await figures(staff.organization_id)) != [], "Ada Example" in await staff.page(_skills(cohort_id))]
    await staff.set(blind=True, audit_share=0.0)
    after = [(await figures(staff.organization_id)) != [], "Ada Example" in await staff.page(_skills(cohort_id))]

    assert (before, after) == ([True, True], [False, False])
    assert "are left out until it is decided" in await staff.page(_skills(cohort_id))


def _skills(cohort_id: str) -> str:
    return f"/cohorts/{cohort_id}/skills"


@pytest.mark.parametrize("path", ["/reviews", "/reviews/items/{item}"])
async def test_students_and_other_organizations_do_not_see_the_desk(staff: Staff, path: str) -> None:
    item = await staff.item_of(await staff.waiting())
    elsewhere = await Staff.of(staff.api, staff.open_browser, staff.password_hash)
    student = staff.open_browser()
    await student.sign_in(await staff.student(password_hash=staff.password_hash))

    theirs, students = await elsewhere.open(path.format(item=item)), await student.open(path.format(item=item))

    assert students.status_code == 403
    assert theirs.status_code == (404 if "item" in path else 200)


def test_overlapping_quotes_split_the_answer_and_keep_every_character() -> None:
    answer = "a😀bcdef"
    quotes = {1: [LocatedQuote(text="😀bc", start=1, end=4)], 2: [LocatedQuote(text="cd", start=3, end=5)]}

    found = segments(answer, quotes)

    assert "".join(each.text for each in found) == answer
    assert found == (
        Segment(text="a", quoted_for=(), ends=()),
        Segment(text="😀b", quoted_for=(1,), ends=()),
        Segment(text="c", quoted_for=(1, 2), ends=(1,)),
        Segment(text="d", quoted_for=(2,), ends=(2,)),
        Segment(text="ef", quoted_for=(), ends=()),
    )
