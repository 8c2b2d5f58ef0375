"""Lists, exports and events of appeals."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import update

from persistence.tables import AppealRow
from tests.api.appeals.appeal_requests import (
    REASON,
    REJECTION,
    answered,
    completed_of,
    events,
    opened,
    post,
    read,
    upheld,
)
from tests.api.conftest import Api, Person, essay_of
from tests.support.builders import an_organization
from tests.support.fake_engine import RecordingDeliveries
from tests.support.partners import an_endpoint


async def listed(api: Api, person: Person, **query: str) -> list[str]:
    answer = await api.get(person, "/appeals", **query)
    assert answer.status_code == 200, answer.text
    return [each["appeal_id"] for each in answer.json()["items"]]


async def change(api: Api, appeal_id: str, **columns: Any) -> None:
    async with api.sessions() as session:
        await session.execute(update(AppealRow).where(AppealRow.id == UUID(appeal_id)).values(**columns))
        await session.commit()


async def test_lists_hold_what_their_reader_sees(
    api: Api,
    appeal_id: str,
    learner: Person,
    advisor: Person,
) -> None:
    far = await api.person("advisor", elsewhere=True)
    other = await api.person()

    found = {
        name: appeal_id in await listed(api, person)
        for name, person in {"owner": learner, "advisor": advisor, "other": other, "far": far}.items()
    }

    assert found == {"owner": True, "advisor": True, "other": False, "far": False}


async def test_filters_select_appeals(api: Api, learner: Person, advisor: Person, completed: dict[str, Any]) -> None:
    late, new = [(await opened(api, learner, completed, place))["appeal_id"] for place in (0, 1)]
    await change(api, late, overdue_at=datetime.now(UTC))
    role_id = (await read(api, learner, late))["role_id"]

    assert await listed(api, learner) == [new, late]
    assert await listed(api, learner, overdue="true") == [late]
    assert await listed(api, learner, overdue="false", role_id=role_id) == [new]
    assert await listed(api, learner, role_id=str(uuid4())) == []
    await answered(api, advisor, late, REJECTION)
    assert await listed(api, learner, state="open") == [new]
    assert await listed(api, learner, overdue="true") == []


async def test_pages_together_hold_every_appeal_once(api: Api, learner: Person, completed: dict[str, Any]) -> None:
    both = [(await opened(api, learner, completed, place))["appeal_id"] for place in (0, 1)]

    first = (await api.get(learner, "/appeals", limit="1")).json()
    second = (await api.get(learner, "/appeals", limit="1", cursor=first["next_cursor"])).json()

    assert [each["appeal_id"] for page in (first, second) for each in page["items"]] == both[::-1]
    assert "next_cursor" not in second


async def test_an_assessment_lists_its_appeals(api: Api, learner: Person, completed: dict[str, Any]) -> None:
    other = await completed_of(api, learner)
    appeal_id = (await opened(api, learner, completed))["appeal_id"]

    found = [
        [each["appeal_id"] for each in (await api.get(learner, f"/assessments/{each}/appeals")).json()["items"]]
        for each in (completed["assessment_id"], other["assessment_id"])
    ]

    assert found == [[appeal_id], []]


async def test_assessments_are_filtered_by_open_appeals(
    api: Api, appeal_id: str, learner: Person, advisor: Person, completed: dict[str, Any]
) -> None:
    async def appealed(value: str) -> bool:
        found = await api.get(advisor, "/assessments", appealed=value, user_id=str(learner.id))
        return [each["assessment_id"] for each in found.json()["items"]] == [completed["assessment_id"]]

    assert [await appealed("true"), await appealed("false")] == [True, False]
    await answered(api, advisor, appeal_id, REJECTION)
    assert [await appealed("true"), await appealed("false")] == [False, True]


async def test_an_appeal_shows_its_reminder(
    api: Api,
    appeal_id: str,
    learner: Person,
) -> None:
    moment = datetime(2026, 3, 2, 9, 14, 5, tzinfo=UTC)
    await change(api, appeal_id, reminded_at=moment, overdue_at=moment)

    document = await read(api, learner, appeal_id)

    assert (document["reminded_at"], document["overdue_at"]) == ("2026-03-02T09:14:05Z",) * 2


async def test_an_export_has_a_students_appeals(api: Api, appeal_id: str, learner: Person, advisor: Person) -> None:
    await answered(api, advisor, appeal_id, REJECTION)

    document = (await api.get(await api.person("admin"), f"/users/{learner.id}/export")).json()

    assert [(each["id"], each["reason"]) for each in document["appeals"]] == [(appeal_id, REASON)]
    assert "appeal.rejected" in [each["action"] for each in document["audit_logs"]]


async def test_events_tell_partners_that_an_appeal_was_opened_and_answered(
    api: Api, advisor: Person, delivery_runs: RecordingDeliveries
) -> None:
    async with api.sessions() as session:
        organization_id = await an_organization(session)
        await an_endpoint(session, organization_id=organization_id, event_types=["appeal.opened", "appeal.answered"])
        await session.commit()
    learner, advisor = await api.person(of=organization_id), await api.person("advisor", of=organization_id)
    started = await completed_of(api, learner)
    appeal_id = (await opened(api, learner, started))["appeal_id"]
    await answered(api, advisor, appeal_id, upheld(started))

    found = await events(api, started)

    assert [(each.event_type, each.status, each.payload["data"]["appeal_state"]) for each in found] == [
        ("appeal.opened", "pending", "open"),
        ("appeal.answered", "pending", "upheld"),
    ]
    about = found[0].payload["data"]
    assert (about["appeal_id"], about["question_id"]) == (appeal_id, essay_of(started, 0))
    assert REASON not in found[0].body.decode()
    assert [each.event_id for each in delivery_runs.started] == [each.id for each in found]


async def test_an_endpoint_subscribes_to_appeals(api: Api) -> None:
    body = {"url": "https://partner.example/hooks", "event_types": ["appeal.opened", "appeal.answered"]}

    answer = await post(api, await api.person("admin"), "/webhooks/endpoints", body)

    assert answer.status_code == 201, answer.text
    assert (answer.status_code, answer.json()["event_types"]) == (201, body["event_types"])
