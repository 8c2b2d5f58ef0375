"""Request, read, apply and discard re-scores over HTTP."""

import csv
import io
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import insert, select, update

from domain.rescores.differences import Difference, ItemDifference
from persistence.repositories.documents import encode
from persistence.tables import AuditLogRow, QuestionRow, RescoreDifferenceRow, RescoreRow
from tests.api.conftest import Api, Person
from tests.support.builders import ROLE_ID
from tests.support.fake_engine import RecordingRescores

REQUEST = {"role_id": str(ROLE_ID), "scope": "rules", "reason": "A corrected key"}


@pytest.fixture
async def admin(api: Api) -> Person:
    return await api.person("admin")


@pytest.fixture
async def advisor(api: Api) -> Person:
    return await api.person("advisor")


async def post(api: Api, person: Person, path: str, body: Any, **headers: str) -> httpx.Response:
    return await api.client.post(f"/api/v1/rescores{path}", json=body, headers=person.headers | headers)


async def requested(api: Api, admin: Person, **fields: Any) -> str:
    answer = await post(api, admin, "", REQUEST | fields)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["rescore_id"])


async def computed(api: Api, admin: Person, number: int = 1, **difference: Any) -> tuple[str, list[str]]:
    """Return a computed re-score and the assessments with a difference, by id."""
    rescore_id = await requested(api, admin)
    ids = sorted([(await api.completed(await api.person())).assessment_id for _ in range(number)])
    item = ItemDifference(
        question_id=uuid4(),
        old_points=Decimal(1),
        new_points=Decimal(0),
        old_max_points=Decimal(1),
        new_max_points=Decimal(1),
    )
    row = {
        "rescore_id": UUID(rescore_id),
        "run": 1,
        "revision": 1,
        "status": "computed",
        "outcome": "changed",
        "old_points": 1,
        "new_points": 0,
        "missed_target": True,
        "difference": encode(Difference(items=(item,), missed_targets=("SQL querying",))) | difference,
    }
    async with api.sessions() as session:
        await session.execute(insert(RescoreDifferenceRow), [row | {"assessment_id": each} for each in ids])
        done = {"status": "computed", "done": number, "total": number}
        await session.execute(update(RescoreRow).filter_by(id=UUID(rescore_id)).values(**done))
        await session.commit()
    return rescore_id, [str(each) for each in ids]


async def audited(api: Api, rescore_id: str) -> list[str]:
    async with api.sessions() as session:
        found = select(AuditLogRow.action).filter_by(resource_id=UUID(rescore_id)).order_by(AuditLogRow.seq)
        return list(await session.scalars(found))


def runs_of(api: Api) -> RecordingRescores:
    runs = api.services.rescores.runs
    assert isinstance(runs, RecordingRescores)
    return runs


async def test_a_request_is_stored_audited_and_started(api: Api, admin: Person, advisor: Person) -> None:
    rescore_id = await requested(api, admin)

    shown = (await api.get(advisor, f"/rescores/{rescore_id}")).json()
    assert (shown["status"], shown["scope"], shown["reason"], shown["done"]) == (
        "queued",
        "rules",
        "A corrected key",
        0,
    )
    assert (shown["requested_by"], shown["role_id"]) == (str(admin.id), str(ROLE_ID))
    assert UUID(rescore_id) in runs_of(api).started
    assert await audited(api, rescore_id) == ["rescore.requested"]


async def test_a_repeated_request_with_the_same_key_stores_one_rescore(api: Api, admin: Person) -> None:
    key = {"Idempotency-Key": uuid4().hex}

    first, second = [(await post(api, admin, "", REQUEST, **key)).json() for _ in range(2)]

    assert first == second
    assert runs_of(api).started.count(UUID(first["rescore_id"])) == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"role_id": None}, "body"),
        ({"question_key": "sql"}, "body"),
        ({"role_id": str(uuid4())}, "role_id"),
        ({"role_id": None, "question_key": "no-such-question"}, "question_key"),
        ({"scope": "everything"}, "scope"),
        ({"reason": "  "}, "reason"),
        ({"versions": ["v1"]}, "versions.0"),
        ({"since": "2026-01-01"}, "since"),
    ],
)
async def test_an_invalid_request_names_the_field(api: Api, admin: Person, change: Any, field: str) -> None:
    answer = await post(api, admin, "", REQUEST | change)

    assert answer.status_code == 400
    assert [each["field"] for each in answer.json()["details"]] == [field]


async def test_a_scope_that_does_not_cover_the_question_is_refused(api: Api, admin: Person) -> None:
    async with api.sessions() as session:
        key = (await session.scalars(select(QuestionRow.key).filter_by(kind="text").limit(1))).one()

    answer = await post(api, admin, "", {"question_key": key, "scope": "rules", "reason": "Why"})

    assert (answer.status_code, answer.json()["details"][0]["field"]) == (400, "scope")


async def test_the_list_has_cursors_and_only_the_own_organizations_rescores(api: Api) -> None:
    here, elsewhere = await api.person("admin"), await api.person("admin", elsewhere=True)
    mine, theirs = [await requested(api, here) for _ in range(2)], await requested(api, elsewhere)

    first = (await api.get(here, "/rescores", limit="1")).json()
    rest = (await api.get(here, "/rescores", limit="100", cursor=first["next_cursor"])).json()

    shown = [each["rescore_id"] for each in (*first["items"], *rest["items"])]
    assert shown[:2] == mine[::-1]
    assert theirs not in shown


async def test_the_summary_counts_what_changes(api: Api, admin: Person) -> None:
    rescore_id, _ = await computed(api, admin, number=2)

    summary = (await api.get(admin, f"/rescores/{rescore_id}")).json()["summary"]

    assert {name: summary[name] for name in ("compared", "changed", "up", "down", "same", "mean_change")} == {
        "compared": 2,
        "changed": 2,
        "up": 0,
        "down": 2,
        "same": 0,
        "mean_change": -1.0,
    }
    assert (summary["missed_target"], summary["reached_target"], summary["applied"]) == (2, 0, 0)


async def test_differences_come_in_pages_by_assessment(api: Api, admin: Person) -> None:
    rescore_id, ids = await computed(api, admin, number=3)
    path = f"/rescores/{rescore_id}/differences"

    first = (await api.get(admin, path, limit="2")).json()
    rest = (await api.get(admin, path, limit="2", cursor=first["next_cursor"])).json()

    assert [each["assessment_id"] for each in (*first["items"], *rest["items"])] == ids
    assert "next_cursor" not in rest
    assert first["items"][0]["missed_targets"] == ["SQL querying"]
    assert (await api.get(admin, path, outcome="same")).json()["items"] == []


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
async def test_the_csv_cannot_run_formulas(api: Api, admin: Person, start: str) -> None:
    title = f"{start}HYPERLINK(1)"
    shown = [{"credential_id": str(uuid4()), "title": title}]
    rescore_id, (assessment_id,) = await computed(api, admin, credentials_in=shown)

    answer = await api.get(admin, f"/rescores/{rescore_id}/differences.csv")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    (row,) = csv.DictReader(io.StringIO(answer.text, newline=""))
    assert (row["assessment_id"], row["old_points"], row["new_points"]) == (assessment_id, "1", "0")
    assert row["credentials_in"] == f"'{title}"


async def test_only_differences_that_change_something_are_applied_and_each_once(api: Api, admin: Person) -> None:
    rescore_id, ids = await computed(api, admin, number=2)

    first = await post(api, admin, f"/{rescore_id}/apply", {"assessment_ids": [ids[0], str(uuid4())]})
    second = await post(api, admin, f"/{rescore_id}/apply", {})
    third = await post(api, admin, f"/{rescore_id}/apply", {})

    assert [each.json()["chosen"] for each in (first, second, third)] == [1, 1, 0]
    assert (await api.get(admin, f"/rescores/{rescore_id}")).json()["status"] == "applying"
    assert (await api.client.delete(f"/api/v1/rescores/{rescore_id}", headers=admin.headers)).status_code == 409
    assert await audited(api, rescore_id) == ["rescore.requested", "rescore.applied", "rescore.applied"]


async def test_a_discarded_rescore_can_be_discarded_again_but_not_applied(api: Api, admin: Person) -> None:
    rescore_id, _ = await computed(api, admin)

    answers = [await api.client.delete(f"/api/v1/rescores/{rescore_id}", headers=admin.headers) for _ in range(2)]
    refused = await post(api, admin, f"/{rescore_id}/apply", {})

    assert [(each.status_code, each.json()["status"]) for each in answers] == [(202, "discarding")] * 2
    assert (refused.status_code, refused.json()["error_code"]) == (409, "CONFLICT_409")
    assert await audited(api, rescore_id) == ["rescore.requested", "rescore.discarded"]


async def test_a_request_succeeds_while_the_engine_is_down(api: Api, admin: Person) -> None:
    runs_of(api).down = True
    try:
        rescore_id = await requested(api, admin)
    finally:
        runs_of(api).down = False

    assert UUID(rescore_id) not in runs_of(api).started
