"""The review queue: listing, claims, decisions."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import func, select, update

from persistence.tables import EssayReviewRow, OrganizationRow, ReviewItemRow, UserRow
from tests.api.conftest import Api, Person, levels_of, question_of
from tests.api.test_reviews import ratings_of, refusal, review
from tests.support.builders import ROLE_ID, an_organization
from tests.support.fakes import RecordingRuns

UNSURE: dict[str, Any] = {"needs_review": True, "model": "gpt-1", "flags": ()}
FLAGGED: dict[str, Any] = {"needs_review": True, "flags": ("unrelated",)}


@pytest.fixture
async def organization(api: Api) -> UUID:
    """An organization of the test's own, so that its queue has the test's essays only; without audit samples."""
    async with api.sessions() as session:
        organization_id = await an_organization(session)
        await session.commit()
    await set_settings(api, organization_id, audit_share=0.0)
    return organization_id


@pytest.fixture
async def advisor(api: Api, organization: UUID) -> Person:
    return await api.person("advisor", of=organization)


@pytest.fixture
async def colleague(api: Api, organization: UUID) -> Person:
    return await api.person("advisor", of=organization, email=f"colleague-{uuid4()}@example.org")


async def set_settings(api: Api, organization_id: UUID, **settings: Any) -> None:
    async with api.sessions() as session:
        theirs = update(OrganizationRow).where(OrganizationRow.id == organization_id)
        await session.execute(theirs.values(settings=settings))
        await session.commit()


async def waiting(api: Api, organization: UUID, **essay: Any) -> dict[str, Any]:
    """Publish a result whose two essays have this score; return what the student had started."""
    learner = await api.person(of=organization)
    started = await api.start(learner)
    await api.submit(learner, started)
    ratings = ratings_of(question_of(started, "text"))
    await api.publish(started["assessment_id"], **({"ratings": ratings} | (essay or FLAGGED)))
    return started | {"learner": learner}


async def queue(api: Api, person: Person, **query: str) -> dict[str, Any]:
    answer = await api.get(person, "/reviews/queue", **query)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


async def post(api: Api, person: Person, path: str, body: Any = None, **headers: str) -> httpx.Response:
    return await api.client.post(f"/api/v1/reviews/{path}", json=body, headers=person.headers | headers)


async def claim(api: Api, person: Person, **body: str) -> dict[str, Any]:
    answer = await post(api, person, "claims", body)
    assert answer.status_code == 201, answer.text
    claimed: dict[str, Any] = answer.json()
    return claimed


async def claim_first(api: Api, person: Person, started: dict[str, Any]) -> str:
    """Claim the assessment's first essay, whose levels can be confirmed; return the claim's id."""
    essay = {"assessment_id": started["assessment_id"], "question_id": question_of(started, "text")["question_id"]}
    claim_id: str = (await claim(api, person, **essay))["claim_id"]
    return claim_id


async def decide(api: Api, person: Person, claim_id: str, revision: int = 1, **body: Any) -> httpx.Response:
    return await post(api, person, f"claims/{claim_id}/decision", (body or {"confirm": True}) | {"revision": revision})


async def change(api: Api, item_id: str, **columns: Any) -> None:
    async with api.sessions() as session:
        await session.execute(
            update(ReviewItemRow).where(ReviewItemRow.question_snapshot_id == UUID(item_id)).values(**columns)
        )
        await session.commit()


async def expire(api: Api, item_id: str) -> None:
    await change(api, item_id, claimed_until=datetime.now(UTC) - timedelta(seconds=1))


async def reviews_of(api: Api, assessment_id: str) -> int:
    async with api.sessions() as session:
        found = select(func.count()).where(EssayReviewRow.assessment_id == UUID(assessment_id))
        return await session.scalar(found) or 0


# The list


async def test_a_doubtful_essay_is_listed_with_its_student_and_role(
    api: Api, organization: UUID, advisor: Person
) -> None:
    started = await waiting(api, organization)

    found = await queue(api, advisor)

    assert found["waiting"] == 2
    item = next(item for item in found["items"] if item["question_id"] == question_of(started, "text")["question_id"])
    assert item["assessment_id"] == started["assessment_id"]
    assert item["role"] == {"role_id": str(ROLE_ID), "name": "Data analyst"}
    assert (item["reasons"], item["revision"]) == (["flagged"], 1)
    assert item["student"]["user_id"] == str(started["learner"].id)
    assert item["student"]["email"].endswith("@example.org")
    assert "claim" not in item


async def test_a_blind_organizations_queue_and_claims_name_no_student(
    api: Api, organization: UUID, advisor: Person
) -> None:
    started = await waiting(api, organization)
    await set_settings(api, organization, blind=True, audit_share=0.0)
    item_id = await claim_first(api, advisor, started)
    answers = [
        await api.get(advisor, "/reviews/queue"),
        await api.get(advisor, "/reviews/claims"),
        await post(api, advisor, "claims", {"item_id": item_id}),
        await post(api, advisor, f"claims/{item_id}/renewals"),
        await decide(api, advisor, item_id),
    ]

    async with api.sessions() as session:
        email = await session.scalar(select(UserRow.email).where(UserRow.id == started["learner"].id))
    assert [answer.status_code for answer in answers] == [200, 200, 201, 200, 202]
    assert email
    for answer in answers:
        assert email not in answer.text
        assert str(started["learner"].id) not in answer.text


async def test_pages_follow_each_other_in_a_stable_order(api: Api, organization: UUID, advisor: Person) -> None:
    for _ in range(3):
        await waiting(api, organization)
    for order in ("priority", "oldest", "newest"):
        everything = (await queue(api, advisor, order=order))["items"]
        pages: list[dict[str, Any]] = []
        cursor: dict[str, str] = {}
        while True:
            page = await queue(api, advisor, order=order, limit="4", **cursor)
            pages += page["items"]
            if "next_cursor" not in page:
                break
            cursor = {"cursor": page["next_cursor"]}

        assert pages == everything
        assert len(everything) == page["waiting"] == 6


async def test_the_order_can_be_that_of_the_hand_in(api: Api, organization: UUID, advisor: Person) -> None:
    started = [(await waiting(api, organization))["assessment_id"] for _ in range(3)]

    oldest, newest = [
        [item["assessment_id"] for item in (await queue(api, advisor, order=order))["items"]]
        for order in ("oldest", "newest")
    ]

    assert oldest[::2] == started
    assert newest == oldest[::-1]


async def test_appeals_come_first_and_audit_samples_last(api: Api, organization: UUID, advisor: Person) -> None:
    await set_settings(api, organization, audit_share=1.0)
    await waiting(api, organization, model="gpt-1")
    await waiting(api, organization)
    sampled = (await queue(api, advisor, reason="audit_sample"))["items"]
    async with api.uow() as uow:
        await uow.review_queue.add_appeal(UUID(sampled[0]["item_id"]))
        await uow.commit()

    reasons = [item["reasons"] for item in (await queue(api, advisor))["items"]]

    assert reasons == [["appealed", "audit_sample"], ["flagged"], ["flagged"], ["audit_sample"]]


@pytest.mark.parametrize(
    ("reason", "number"),
    [("flagged", 2), ("low_confidence", 2), ("abstained", 0), ("appealed", 1), ("audit_sample", 0)],
)
async def test_the_reason_filters(api: Api, organization: UUID, advisor: Person, reason: str, number: int) -> None:
    flagged = await waiting(api, organization, **FLAGGED)
    await waiting(api, organization, **UNSURE)
    item_id = (await queue(api, advisor, assessment_id=flagged["assessment_id"]))["items"][0]["item_id"]
    async with api.uow() as uow:
        await uow.review_queue.add_appeal(UUID(item_id))
        await uow.commit()

    found = await queue(api, advisor, reason=reason)

    assert (len(found["items"]), found["waiting"]) == (number, number)


async def test_question_role_and_assessment_filter(api: Api, organization: UUID, advisor: Person) -> None:
    started = await waiting(api, organization)
    await waiting(api, organization)
    filters = {
        "question_id": question_of(started, "text")["question_id"],
        "role_id": str(ROLE_ID),
        "assessment_id": started["assessment_id"],
    }

    numbers = {name: (await queue(api, advisor, **{name: value}))["waiting"] for name, value in filters.items()}
    others = {name: (await queue(api, advisor, **{name: str(uuid4())}))["waiting"] for name in filters}

    assert numbers == {"question_id": 2, "role_id": 4, "assessment_id": 2}
    assert others == dict.fromkeys(filters, 0)


async def test_the_queue_of_a_cohort_has_the_essays_of_its_students_only(
    api: Api, organization: UUID, advisor: Person
) -> None:
    started = await waiting(api, organization)
    await waiting(api, organization)
    admin = await api.person("admin", of=organization)
    made = await api.client.post("/api/v1/cohorts", json={"name": "Spring"}, headers=admin.headers)
    cohort_id = made.json()["cohort_id"]
    members = {"user_ids": [str(started["learner"].id)]}
    await api.client.post(f"/api/v1/cohorts/{cohort_id}/members", json=members, headers=admin.headers)

    found = await queue(api, advisor, cohort_id=cohort_id)
    claimed = await claim(api, advisor, cohort_id=cohort_id)

    assert found["waiting"] == 2
    assert claimed["item"]["assessment_id"] == started["assessment_id"]


async def test_the_queue_names_the_student(api: Api, organization: UUID, advisor: Person) -> None:
    started = await waiting(api, organization)
    async with api.sessions() as session:
        await session.execute(update(UserRow).where(UserRow.id == started["learner"].id).values(name="Ada Example"))
        await session.commit()

    assert [item["student"]["name"] for item in (await queue(api, advisor))["items"]] == ["Ada Example"] * 2


@pytest.mark.parametrize("query", [{"order": "random"}, {"reason": "boring"}, {"cursor": "none"}, {"cohort": "a"}])
async def test_an_unknown_value_is_refused(api: Api, advisor: Person, query: dict[str, str]) -> None:
    assert refusal(await api.get(advisor, "/reviews/queue", **query)) == (400, "VALIDATION_400")


async def test_a_cursor_of_another_order_is_refused(api: Api, organization: UUID, advisor: Person) -> None:
    await waiting(api, organization)
    cursors = {
        order: (await queue(api, advisor, order=order, limit="1"))["next_cursor"] for order in ("priority", "oldest")
    }

    for order, other in (("priority", "oldest"), ("oldest", "priority")):
        answer = await api.get(advisor, "/reviews/queue", order=order, cursor=cursors[other])
        assert refusal(answer) == (400, "VALIDATION_400")


async def test_essays_of_a_student_who_is_being_erased_are_left_out(
    api: Api, organization: UUID, advisor: Person
) -> None:
    started = await waiting(api, organization)
    async with api.sessions() as session:
        await session.execute(update(UserRow).where(UserRow.id == started["learner"].id).values(status="erasing"))
        await session.commit()

    assert await queue(api, advisor) == {"items": [], "waiting": 0}
    assert refusal(await post(api, advisor, "claims", {})) == (404, "NOT_FOUND_404")


# Claims


async def test_a_claim_lasts_a_quarter_of_an_hour_and_is_visible_to_others(
    api: Api, organization: UUID, advisor: Person, colleague: Person
) -> None:
    await waiting(api, organization)

    claimed = await claim(api, colleague)

    lasts = datetime.fromisoformat(claimed["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=14, seconds=50) < lasts <= timedelta(minutes=15)
    seen = {item["item_id"]: item.get("claim") for item in (await queue(api, advisor))["items"]}
    theirs = seen.pop(claimed["claim_id"])
    assert (theirs["claimed_by"], theirs["yours"]) == (str(colleague.id), False)
    assert theirs["email"].startswith("colleague-")
    assert set(seen.values()) == {None}


async def test_each_claim_takes_the_next_essay_until_none_is_left(
    api: Api, organization: UUID, advisor: Person, colleague: Person
) -> None:
    await waiting(api, organization)
    expected = [item["item_id"] for item in (await queue(api, advisor))["items"]]

    claimed = [(await claim(api, person))["claim_id"] for person in (advisor, colleague)]

    assert claimed == expected
    assert refusal(await post(api, advisor, "claims", {})) == (404, "NOT_FOUND_404")


async def test_claims_at_the_same_time_take_different_essays(api: Api, organization: UUID) -> None:
    for _ in range(4):
        await waiting(api, organization)
    people = [await api.person("advisor", of=organization) for _ in range(8)]

    answers = await asyncio.gather(*(post(api, person, "claims", {}) for person in people))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["claim_id"] for answer in answers}) == 8


async def test_a_claim_takes_only_what_its_filter_matches(api: Api, organization: UUID, advisor: Person) -> None:
    await waiting(api, organization, **FLAGGED)
    unsure = await waiting(api, organization, **UNSURE)

    claimed = await claim(api, advisor, reason="low_confidence", order="newest")

    assert claimed["item"]["assessment_id"] == unsure["assessment_id"]
    assert claimed["item"]["claim"]["yours"] is True


async def test_an_expired_claim_ends_by_itself(
    api: Api, organization: UUID, advisor: Person, colleague: Person
) -> None:
    await waiting(api, organization)
    item_id = (await claim(api, colleague))["claim_id"]
    await expire(api, item_id)

    assert all("claim" not in item for item in (await queue(api, advisor))["items"])
    assert (await claim(api, advisor, item_id=item_id))["claim_id"] == item_id


async def test_a_claimed_essay_is_refused_to_others_with_the_claimants_address(
    api: Api, organization: UUID, advisor: Person, colleague: Person
) -> None:
    await waiting(api, organization)
    item_id = (await claim(api, colleague))["claim_id"]

    answer = await post(api, advisor, "claims", {"item_id": item_id})

    assert refusal(answer) == (409, "ITEM_CLAIMED")
    assert answer.json()["details"]["claimed_by"].startswith("colleague-")


async def test_a_renewal_extends_the_claim(api: Api, organization: UUID, advisor: Person) -> None:
    await waiting(api, organization)
    item_id = (await claim(api, advisor))["claim_id"]
    await expire(api, item_id)

    answer = await post(api, advisor, f"claims/{item_id}/renewals")

    assert answer.status_code == 200
    assert datetime.fromisoformat(answer.json()["expires_at"]) > datetime.now(UTC) + timedelta(minutes=14)


async def test_a_claim_that_another_reviewer_has_taken_over_is_not_renewed(
    api: Api, organization: UUID, advisor: Person, colleague: Person
) -> None:
    await waiting(api, organization)
    item_id = (await claim(api, advisor))["claim_id"]
    await expire(api, item_id)
    await claim(api, colleague, item_id=item_id)

    assert refusal(await post(api, advisor, f"claims/{item_id}/renewals")) == (409, "ITEM_CLAIMED")


async def test_a_released_essay_can_be_claimed_by_others(
    api: Api, organization: UUID, advisor: Person, colleague: Person
) -> None:
    await waiting(api, organization)
    item_id = (await claim(api, advisor))["claim_id"]
    path = f"/api/v1/reviews/claims/{item_id}"

    statuses = [(await api.client.delete(path, headers=advisor.headers)).status_code for _ in range(2)]

    assert statuses == [204, 204]
    await claim(api, colleague, item_id=item_id)
    await api.client.delete(path, headers=advisor.headers)  # the claim of another reviewer stays
    assert [each["claim_id"] for each in (await api.get(colleague, "/reviews/claims")).json()["items"]] == [item_id]


async def test_a_reviewer_finds_their_live_claims(
    api: Api, organization: UUID, advisor: Person, colleague: Person
) -> None:
    await waiting(api, organization)
    await waiting(api, organization)
    mine = [(await claim(api, advisor))["claim_id"] for _ in range(2)]
    await claim(api, colleague)
    expired = (await claim(api, advisor))["claim_id"]
    await expire(api, expired)

    found = (await api.get(advisor, "/reviews/claims")).json()["items"]

    assert [each["claim_id"] for each in found] == mine


async def test_a_repeated_claim_with_the_same_key_takes_one_essay(
    api: Api, organization: UUID, advisor: Person
) -> None:
    await waiting(api, organization)

    answers = [await post(api, advisor, "claims", {}, **{"Idempotency-Key": "a-key"}) for _ in range(2)]

    assert answers[0].json() == answers[1].json()
    assert len((await api.get(advisor, "/reviews/claims")).json()["items"]) == 1


@pytest.mark.parametrize(
    "body", [{"item_id": str(uuid4()), "order": "oldest"}, {"item_id": "x"}, {"reason": "boring"}, {"blind": False}]
)
async def test_a_claim_of_another_shape_is_refused(api: Api, advisor: Person, body: dict[str, Any]) -> None:
    assert refusal(await post(api, advisor, "claims", body)) == (400, "VALIDATION_400")


async def test_an_unknown_essay_is_not_found(api: Api, advisor: Person) -> None:
    assert refusal(await post(api, advisor, "claims", {"item_id": str(uuid4())})) == (404, "NOT_FOUND_404")


# Decisions


async def test_a_decision_stores_the_review_and_ends_the_claim(
    api: Api, organization: UUID, advisor: Person, runs: RecordingRuns
) -> None:
    started = await waiting(api, organization)
    item_id = await claim_first(api, advisor, started)
    levels = levels_of(question_of(started, "text"))

    answer = await decide(api, advisor, item_id, levels=levels, comment="Read twice.")

    assert answer.status_code == 202
    async with api.sessions() as session:
        row = (await session.scalars(select(EssayReviewRow).where(EssayReviewRow.reviewer_id == advisor.id))).one()
    assert answer.json() == {
        "review_id": str(row.id),
        "assessment_id": started["assessment_id"],
        "question_id": question_of(started, "text")["question_id"],
        "revision": 1,
    }
    assert (row.levels, row.comment) == (levels, "Read twice.")
    assert runs.revised == [UUID(started["assessment_id"])]
    assert (await queue(api, advisor))["waiting"] == 1
    assert (await api.get(advisor, "/reviews/claims")).json() == {"items": []}


async def test_a_confirmation_keeps_the_published_levels(api: Api, organization: UUID, advisor: Person) -> None:
    started = await waiting(api, organization)
    item_id = await claim_first(api, advisor, started)

    await decide(api, advisor, item_id, confirm=True)

    async with api.sessions() as session:
        row = (await session.scalars(select(EssayReviewRow).where(EssayReviewRow.reviewer_id == advisor.id))).one()
    assert row.levels == levels_of(question_of(started, "text"), -1)


async def test_a_decision_about_an_older_revision_is_refused_with_the_newest(
    api: Api, organization: UUID, advisor: Person
) -> None:
    started = await waiting(api, organization)
    item_id = await claim_first(api, advisor, started)
    await api.publish(started["assessment_id"], **FLAGGED)

    answer = await decide(api, advisor, item_id, revision=1)

    assert refusal(answer) == (409, "REVISION_OUTDATED")
    assert answer.json()["details"] == {"revision": "2"}
    assert await reviews_of(api, started["assessment_id"]) == 0
    assert [each["claim_id"] for each in (await api.get(advisor, "/reviews/claims")).json()["items"]] == [item_id]


async def test_a_decision_after_the_claim_went_to_another_reviewer_is_refused(
    api: Api, organization: UUID, advisor: Person, colleague: Person
) -> None:
    started = await waiting(api, organization)
    item_id = await claim_first(api, advisor, started)
    await expire(api, item_id)
    await claim(api, colleague, item_id=item_id)

    answers = [await decide(api, advisor, item_id), await decide(api, colleague, item_id)]

    assert refusal(answers[0]) == (409, "ITEM_CLAIMED")
    assert answers[1].status_code == 202
    assert refusal(await decide(api, advisor, item_id)) == (409, "ITEM_DECIDED")
    assert await reviews_of(api, started["assessment_id"]) == 1


async def test_an_expired_claim_is_enough_while_nobody_else_has_claimed_the_essay(
    api: Api, organization: UUID, advisor: Person
) -> None:
    started = await waiting(api, organization)
    item_id = await claim_first(api, advisor, started)
    await expire(api, item_id)

    assert (await decide(api, advisor, item_id, levels=None, confirm=True)).status_code == 202


async def test_an_unclaimed_essay_is_not_decided(api: Api, organization: UUID, advisor: Person) -> None:
    await waiting(api, organization)
    item_id = (await queue(api, advisor))["items"][0]["item_id"]

    assert refusal(await decide(api, advisor, item_id)) == (409, "CLAIM_NOT_HELD")


async def test_the_answer_to_an_appeal_decides_an_appealed_essay(api: Api, organization: UUID, advisor: Person) -> None:
    started = await waiting(api, organization)
    item_id = await claim_first(api, advisor, started)
    async with api.uow() as uow:
        await uow.review_queue.add_appeal(UUID(item_id))
        await uow.commit()

    assert refusal(await decide(api, advisor, item_id)) == (409, "ITEM_APPEALED")


async def test_a_refused_decision_keeps_the_claim(api: Api, organization: UUID, advisor: Person) -> None:
    started = await waiting(api, organization)
    item_id = await claim_first(api, advisor, started)

    assert refusal(await decide(api, advisor, item_id, levels={"a": "b"})) == (400, "VALIDATION_400")

    assert [each["claim_id"] for each in (await api.get(advisor, "/reviews/claims")).json()["items"]] == [item_id]


async def test_of_two_decisions_at_the_same_time_one_counts(api: Api, organization: UUID, advisor: Person) -> None:
    started = await waiting(api, organization)
    item_id = await claim_first(api, advisor, started)

    answers = await asyncio.gather(*(decide(api, advisor, item_id) for _ in range(5)))

    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409, 409]
    assert await reviews_of(api, started["assessment_id"]) == 1


async def test_a_decision_and_a_claim_of_another_reviewer_at_the_same_time_do_not_both_succeed(
    api: Api, organization: UUID, advisor: Person, colleague: Person
) -> None:
    for _ in range(5):
        started = await waiting(api, organization)
        item_id = await claim_first(api, advisor, started)
        await expire(api, item_id)

        decision, takeover = await asyncio.gather(
            decide(api, advisor, item_id), post(api, colleague, "claims", {"item_id": item_id})
        )

        assert sorted((decision.status_code, takeover.status_code)) in ([201, 409], [202, 409])


# The review route without a claim


async def test_a_review_of_an_essay_that_another_reviewer_has_claimed_is_refused(
    api: Api, organization: UUID, advisor: Person, colleague: Person
) -> None:
    started = await waiting(api, organization)
    await claim_first(api, colleague, started)

    answer = await review(api, advisor, started, confirm=True)

    assert refusal(answer) == (409, "ITEM_CLAIMED")
    assert answer.json()["details"]["claimed_by"].startswith("colleague-")
    assert await reviews_of(api, started["assessment_id"]) == 0


@pytest.mark.parametrize("claims", [True, False])
async def test_a_review_takes_the_essay_out_of_the_queue(
    api: Api, organization: UUID, advisor: Person, *, claims: bool
) -> None:
    started = await waiting(api, organization)
    if claims:
        await claim_first(api, advisor, started)

    assert (await review(api, advisor, started, confirm=True)).status_code == 202

    assert (await queue(api, advisor))["waiting"] == 1
    assert (await api.get(advisor, "/reviews/claims")).json() == {"items": []}


async def test_the_assessment_is_marked_until_the_review_is_published(
    api: Api, organization: UUID, advisor: Person
) -> None:
    started = await waiting(api, organization)
    essays = [question for question in started["questions"] if question["answer_format"]["kind"] == "text"]
    for essay in essays:
        await review(api, advisor, started, essay["question_id"], levels=levels_of(essay))
    marked = await api.get(advisor, "/assessments", needs_review="true")
    await api.publish(started["assessment_id"], reviewed=True)

    assert (await queue(api, advisor))["waiting"] == 0
    assert [each["assessment_id"] for each in marked.json()["items"]] == [started["assessment_id"]]
    assert (await api.get(advisor, "/assessments", needs_review="true")).json()["items"] == []
