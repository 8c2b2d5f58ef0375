"""Claims of essays: which essay, for how long, and against other reviewers."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from tests.api.conftest import Api, Person
from tests.api.review_queue.queue_requests import FLAGGED, UNSURE, claim, expire, post, queue, waiting
from tests.api.test_reviews import refusal


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
