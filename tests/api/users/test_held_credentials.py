"""The credentials that users already hold."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import update

from persistence.tables import UserRow
from tests.api.conftest import Api, Person
from tests.api.users.account_requests import audited, hold


async def test_a_held_credential_is_recorded_once(api: Api, learner: Person) -> None:
    advisor = await api.person("advisor")
    first, second = api.credentials[:2]

    statuses = [
        await hold(api, learner, learner, first),
        await hold(api, learner, learner, first),
        await hold(api, advisor, learner, second, "2025-12-01"),
    ]

    assert statuses == [201, 409, 201]
    items = (await api.get(learner, f"/users/{learner.id}/credentials")).json()["items"]
    assert [(item["credential_id"], item["earned_at"]) for item in items] == [
        (str(second), "2025-12-01"),
        (str(first), "2026-01-31"),
    ]
    assert all(item["title"] for item in items)
    assert [(action, actor) for action, actor, _ in await audited(api, learner.id)] == [
        ("user.credential_added", learner.id),
        ("user.credential_added", advisor.id),
    ]


async def test_held_credentials_have_pages(api: Api, learner: Person) -> None:
    for credential_id in api.credentials:
        await hold(api, learner, learner, credential_id)
    path = f"/users/{learner.id}/credentials"
    first = (await api.get(learner, path, limit="2")).json()
    second = (await api.get(learner, path, limit="2", cursor=first["next_cursor"])).json()
    listed = [item["credential_id"] for page in (first, second) for item in page["items"]]
    assert listed == [str(each) for each in api.credentials[::-1]]
    assert "next_cursor" not in second


@pytest.mark.parametrize(
    "earned_at", ["2026-02-30", "2026-1-1", "20260101", "2026-01-01T00:00:00Z", 20260101, None, ""]
)
async def test_a_day_that_does_not_exist_is_400(api: Api, learner: Person, earned_at: Any) -> None:
    assert await hold(api, learner, learner, api.credentials[0], earned_at) == 400


async def test_unknown_credentials_and_future_dates_are_rejected(api: Api, learner: Person) -> None:
    to_come = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    assert await hold(api, learner, learner, uuid4()) == 400
    assert await hold(api, learner, learner, api.credentials[0], to_come) == 400


async def test_nothing_is_recorded_about_a_user_who_is_being_erased(api: Api, admin: Person) -> None:
    person = await api.person()
    async with api.sessions() as session:
        await session.execute(update(UserRow).where(UserRow.id == person.id).values(status="erasing"))
        await session.commit()
    assert await hold(api, admin, person, api.credentials[0]) == 410
