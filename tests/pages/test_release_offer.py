"""The offer to release a held result on the review desk, after its last doubtful essay was decided."""

import re
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import update

from persistence.tables import EssayReviewRow
from tests.api.conftest import levels_of, question_of
from tests.pages.advisors import Staff
from tests.pages.test_review_desk import claimed

OFFER = "No essay of this result waits any more"


async def held(staff: Staff, release: str = "all_held", **columns: Any) -> dict[str, Any]:
    """Publish a held result whose two essays wait for a review."""
    await staff.set(release=release, audit_share=0.0)
    return await staff.waiting(**columns)


async def decide_all(staff: Staff, started: dict[str, Any]) -> str:
    """Set the levels of both essays on the desk. Return where the last decision leads to."""
    questions = {each["question_id"]: each for each in started["questions"]}
    listed = await staff.api.get(staff.advisor, "/reviews/queue", assessment_id=started["assessment_id"])
    for item in listed.json()["items"]:
        await staff.send(f"/reviews/items/{item['item_id']}/claim")
    answers = []
    for item in listed.json()["items"]:
        criteria = questions[item["question_id"]]["rubric"]["criteria"]
        levels = {f"level.{number}": each["levels"][0]["name"] for number, each in enumerate(criteria, 1)}
        path = f"/reviews/items/{item['item_id']}/decision"
        answers.append(await staff.send(path, action="set", revision="1", **levels))
    assert [each.status_code for each in answers] == [303, 303], answers[-1].text
    return str(answers[-1].headers["Location"])


async def publish_reviews(staff: Staff, started: dict[str, Any], **essay: Any) -> None:
    """Publish the next revision with the reviews, as the worker does."""
    publication = await staff.api.publish(started["assessment_id"], reviewed=True, **essay)
    async with staff.api.sessions() as session:
        theirs = update(EssayReviewRow).where(EssayReviewRow.assessment_id == UUID(started["assessment_id"]))
        await session.execute(theirs.values(published_revision=publication.revision))
        await session.commit()


async def test_the_last_decision_of_a_held_result_offers_its_release(staff: Staff) -> None:
    started = await held(staff, name="Ada Example")

    page = await decide_all(staff, started)
    pending = await staff.page(page)
    await publish_reviews(staff, started)
    offered = await staff.page(page)

    assert page == f"/reviews?done=review_stored&decided={started['assessment_id']}"
    assert OFFER in pending
    assert "It can be released in a few seconds" in pending
    assert "a release cannot be taken back" in offered
    assert "Ada Example" in offered
    assert "It can be released in a few seconds" not in offered


async def test_the_offered_release_shows_the_result_and_stays_on_the_page(staff: Staff) -> None:
    started = await held(staff)
    await decide_all(staff, started)
    await publish_reviews(staff, started)
    path = f"/reviews/decided/{started['assessment_id']}/release"

    answer = await staff.send(path, reason="flagged")

    assert answer.headers["Location"] == "/reviews?reason=flagged&done=released"
    assert (await staff.result_of(started))["released"] is True


async def test_the_offer_on_the_desk_of_the_next_essay_leads_back_to_it(staff: Staff) -> None:
    started, other = await held(staff), await staff.waiting()
    await decide_all(staff, started)
    await publish_reviews(staff, started)
    path = await claimed(staff, other)

    page = await staff.page(f"{path}?decided={started['assessment_id']}")
    item_id = path.rpartition("/")[2]
    answer = await staff.send(f"/reviews/decided/{started['assessment_id']}/release", item_id=item_id)

    assert OFFER in page
    assert f'name="item_id" value="{item_id}"' in page
    assert answer.headers["Location"] == f"{path}?done=released"


async def test_nothing_is_offered_while_another_essay_of_the_result_waits(staff: Staff) -> None:
    started = await held(staff)
    path = await claimed(staff, started)

    answer = await staff.send(f"{path}/decision", action="confirm", revision="1")

    assert f"decided={started['assessment_id']}" in answer.headers["Location"]
    assert OFFER not in await staff.page(answer.headers["Location"])


async def test_nothing_is_offered_for_a_result_that_was_never_held(staff: Staff) -> None:
    started = await held(staff, release="at_once")

    assert await decide_all(staff, started) == "/reviews?done=review_stored"


async def test_a_result_without_doubts_that_its_policy_releases_is_reported(staff: Staff) -> None:
    started = await held(staff, release="doubtful_held")

    page = await decide_all(staff, started)
    await publish_reviews(staff, started)

    assert "The result is released" in await staff.page(page)


async def test_the_desk_of_a_decided_essay_of_a_held_result_offers_the_release(staff: Staff) -> None:
    started = await held(staff)
    path = f"/reviews/items/{await staff.item_of(started)}"
    await decide_all(staff, started)
    await publish_reviews(staff, started)

    assert OFFER in await staff.page(path)


async def test_the_offer_says_if_the_student_loses_points(staff: Staff) -> None:
    await staff.set(release="doubtful_held", audit_share=0.0)
    started = await staff.graded()
    question = question_of(started, "text")
    path = f"/api/v1/assessments/{started['assessment_id']}/items/{question['question_id']}/review"
    body = {"levels": levels_of(question, 0)}
    assert (await staff.api.client.post(path, json=body, headers=staff.advisor.headers)).status_code == 202
    await publish_reviews(staff, started, points=Decimal(0))

    assert "fewer points than the one that the student sees now" in await staff.page(
        f"/reviews?decided={started['assessment_id']}"
    )


async def test_a_release_before_the_review_is_published_is_offered_again(staff: Staff) -> None:
    started = await held(staff)
    await decide_all(staff, started)

    answer = await staff.send(f"/reviews/decided/{started['assessment_id']}/release")

    assert answer.headers["Location"] == f"/reviews?decided={started['assessment_id']}"
    assert (await staff.result_of(started)).get("released") is None


async def test_the_part_of_the_page_changes_only_when_the_review_is_published(staff: Staff) -> None:
    started = await held(staff)
    await decide_all(staff, started)
    path = f"/reviews/decided/{started['assessment_id']}"

    pending = await staff.open(path)
    await publish_reviews(staff, started)
    offered = await staff.page(path)

    assert pending.status_code == 204
    assert OFFER in offered
    assert "hx-get" not in offered


async def test_the_offer_hides_the_name_while_an_audit_sample_waits_in_a_blind_organization(staff: Staff) -> None:
    await staff.set(release="all_held", blind=True, audit_share=1.0)
    started = await staff.graded(await staff.student(name="Ada Example"), confidence=Decimal("0.99"))

    page = await staff.page(f"/reviews?decided={started['assessment_id']}")

    assert OFFER in page
    assert "Ada Example" not in page


@pytest.mark.parametrize("decided", ["nonsense", "cbadf5e3-594f-498e-9747-7a623fcf4d21"])
async def test_an_unknown_assessment_is_not_offered(staff: Staff, decided: str) -> None:
    answer = await staff.open(f"/reviews?decided={decided}")

    assert (answer.status_code, OFFER in answer.text) == (400 if decided == "nonsense" else 200, False)


async def test_other_organizations_are_offered_nothing(staff: Staff) -> None:
    started = await held(staff, name="Ada Example")
    await decide_all(staff, started)
    elsewhere = await Staff.of(staff.api, staff.open_browser, staff.password_hash)

    page = await elsewhere.page(f"/reviews?decided={started['assessment_id']}")
    refused = await elsewhere.send(f"/reviews/decided/{started['assessment_id']}/release")

    assert re.search("Ada Example|No essay of this result", page) is None
    assert refused.status_code == 404
