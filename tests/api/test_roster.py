"""The import of a roster over HTTP: all rows or none, a report per row, and a dry run."""

from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence.tables import AuditLogRow, UserRow
from tests.api.conftest import Api, Person
from tests.support.builders import an_organization
from tests.support.statements import recorded

IMPORTS = "/api/v1/users/imports"
PASSWORD = "correct horse battery staple"


@pytest.fixture
async def organization(api: Api) -> UUID:
    """An organization that only this test uses."""
    async with api.sessions() as session:
        organization_id = await an_organization(session)
        await session.commit()
    return organization_id


@pytest.fixture
async def admin(api: Api, organization: UUID) -> Person:
    return await api.person("admin", of=organization)


@pytest.fixture
def domain() -> str:
    """The domain of this test's addresses."""
    return f"{uuid4()}.example"


async def send(api: Api, admin: Person, *lines: str, dry_run: bool = False, key: str | None = None) -> httpx.Response:
    return await send_bytes(api, admin, "\r\n".join(lines).encode(), dry_run=dry_run, key=key)


async def send_bytes(
    api: Api, admin: Person, body: bytes, *, dry_run: bool = False, key: str | None = None
) -> httpx.Response:
    query = {"dry_run": "true"} if dry_run else {}
    headers = {"Content-Type": "text/csv"} | admin.headers | ({"Idempotency-Key": key} if key else {})
    return await api.client.post(IMPORTS, content=body, params=query, headers=headers)


async def people(api: Api, organization: UUID) -> dict[str, UserRow]:
    async with api.sessions() as session:
        rows = await session.scalars(select(UserRow).where(UserRow.organization_id == organization))
        return {row.email.partition("@")[0]: row for row in rows}


def statuses(answer: httpx.Response) -> list[str]:
    return [row["status"] for row in answer.json()["rows"]]


async def test_a_roster_creates_students_in_cohorts(api: Api, organization: UUID, admin: Person, domain: str) -> None:
    answer = await send(
        api,
        admin,
        "email,name,cohort,external_id",
        f"ada@{domain},Ada Lovelace,Spring 2026,A-1",
        f"Grace@{domain.upper()},,Spring 2026,",
    )

    report = answer.json()
    assert answer.status_code == 200, answer.text
    assert report["counts"] == {"created": 2, "updated": 0, "unchanged": 0, "refused": 0}
    assert (report["new_cohorts"], report["detected"]) == (
        ["Spring 2026"],
        {"encoding": "utf-8", "delimiter": "comma"},
    )
    stored = await people(api, organization)
    ada = stored["ada"]
    assert (ada.name, ada.external_id, ada.role, ada.password_hash) == ("Ada Lovelace", "A-1", "student", None)
    assert [row["user_id"] for row in report["rows"]] == [str(stored[each].id) for each in ("ada", "grace")]
    (cohort,) = (await api.get(admin, "/cohorts")).json()["items"]
    assert (cohort["name"], cohort["members"]) == ("Spring 2026", 2)


async def test_an_imported_student_logs_in_after_an_admin_set_the_password(
    api: Api, organization: UUID, admin: Person, domain: str
) -> None:
    user_id = (await send(api, admin, "email", f"ada@{domain}")).json()["rows"][0]["user_id"]
    form = {"username": f"ada@{domain}", "password": PASSWORD}

    before = await api.client.post("/api/v1/auth/token", data=form)
    await api.client.patch(f"/api/v1/users/{user_id}", json={"password": PASSWORD}, headers=admin.headers)
    after = await api.client.post("/api/v1/auth/token", data=form)

    assert [before.status_code, after.status_code] == [401, 200]
    assert organization == (await people(api, organization))["ada"].organization_id


async def test_known_people_are_updated_but_keep_role_status_and_sessions(
    api: Api, organization: UUID, admin: Person, domain: str
) -> None:
    advisor = await api.person("advisor", of=organization, email=f"ada@{domain}", name="Ada")
    await api.person(of=organization, email=f"grace@{domain}", name="Grace", status="disabled")

    answer = await send(
        api, admin, "email;name;cohort", f"ADA@{domain};Dr Ada;", f"grace@{domain};;Spring", f"GRACE2@{domain};G;Spring"
    )
    again = await send(
        api, admin, "email;name;cohort", f"ADA@{domain};Dr Ada;", f"grace@{domain};;Spring", f"GRACE2@{domain};G;Spring"
    )

    assert (statuses(answer), statuses(again)) == (["updated", "updated", "created"], ["unchanged"] * 3)
    stored = await people(api, organization)
    assert (stored["ada"].name, stored["ada"].role) == ("Dr Ada", "advisor")
    assert (stored["grace"].name, stored["grace"].status) == ("Grace", "disabled")
    assert (await api.get(advisor, "/me")).status_code == 200


async def test_all_rows_are_imported_or_none(api: Api, organization: UUID, admin: Person, domain: str) -> None:
    await api.person(email=f"elsewhere@{domain}")

    answer = await send(
        api,
        admin,
        "email,name",
        f"ada@{domain},Ada",
        f"elsewhere@{domain},Eve",
        "nobody,Nobody",
        f"ada@{domain},Ada again",
    )

    assert answer.status_code == 400
    problems = [(each["row"], each["field"]) for each in answer.json()["details"]]
    assert problems == [(2, "email"), (3, "email"), (4, "email")]
    assert list(await people(api, organization)) == [str(admin.id)]
    assert domain not in answer.text


async def test_a_dry_run_reports_every_row_and_writes_nothing(
    api: Api, organization: UUID, admin: Person, domain: str
) -> None:
    await api.person(email=f"elsewhere@{domain}")
    lines = ("email,name,cohort", f"ada@{domain},Ada,Spring", f"elsewhere@{domain},Eve,", f"{domain},,")

    answer = await send(api, admin, *lines, dry_run=True, key="dry-then-real")
    real = await send(api, admin, *lines[:2], key="dry-then-real")

    report = answer.json()
    assert (answer.status_code, report["dry_run"]) == (200, True)
    assert report["rows"] == [
        {"row": 1, "status": "created"},
        {"row": 2, "status": "refused", "problems": [{"field": "email", "problem": "is taken"}]},
        {"row": 3, "status": "refused", "problems": report["rows"][2]["problems"]},
    ]
    assert report["new_cohorts"] == ["Spring"]
    assert (real.status_code, statuses(real)) == (200, ["created"])
    assert len(await people(api, organization)) == 2


async def test_an_import_has_an_audit_row_for_each_change_without_names(
    api: Api, organization: UUID, admin: Person, domain: str
) -> None:
    await api.person(of=organization, email=f"grace@{domain}")

    await send(api, admin, "email,name,cohort", f"ada@{domain},Ada,Spring", f"grace@{domain},Grace,")

    async with api.sessions() as session:
        row = AuditLogRow
        found = await session.execute(
            select(row.action, row.details, row.actor_id).where(row.organization_id == organization).order_by(row.seq)
        )
        entries = [tuple(each) for each in found]
    (cohort,) = (await api.get(admin, "/cohorts")).json()["items"]
    assert entries == [
        ("cohort.created", None, admin.id),
        ("user.created", {"role": "student"}, admin.id),
        ("user.changed", {"fields": ["name"]}, admin.id),
        ("user.cohort_added", {"cohort_id": cohort["cohort_id"]}, admin.id),
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
async def test_separators_and_the_byte_order_mark_are_detected(
    api: Api, admin: Person, domain: str, separator: str, mark: bytes
) -> None:
    table = "\n".join(separator.join(row) for row in (("email", "name"), (f"ada@{domain}", "Zoë Lovelace")))

    answer = await send_bytes(api, admin, mark + table.encode())

    assert answer.json()["counts"]["created"] == 1
    (shown,) = (await api.get(admin, "/users", email=f"ada@{domain}")).json()["items"]
    assert shown["name"] == "Zoë Lovelace"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"email,name\n",
        b"name\nAda\n",
        b"email,role\na@x.example,admin\n",
        b"email,email\na@x.example,b@x.example\n",
        b"email,name\na@x.example\n",
        b"email\n" + b"a@x.example\n" * 10_001,
    ],
    ids=["empty", "no rows", "no address", "a role", "twice", "ragged", "too many rows"],
)
async def test_a_table_that_is_no_roster_is_400(api: Api, admin: Person, body: bytes) -> None:
    for dry_run in (False, True):
        assert (await send_bytes(api, admin, body, dry_run=dry_run)).status_code == 400


async def test_a_repeated_import_returns_the_stored_report(api: Api, admin: Person, domain: str) -> None:
    first, again = [await send(api, admin, "email", f"ada@{domain}", key="one-import") for _ in range(2)]
    assert (first.json(), again.headers["Idempotent-Replayed"]) == (again.json(), "true")


async def test_the_number_of_statements_does_not_grow_with_the_rows(
    api: Api, admin: Person, domain: str, api_engine: AsyncEngine
) -> None:
    async def counted(number: int) -> int:
        lines = [f"{number}-{place}@{domain},Name,Cohort {place % 7}" for place in range(number)]
        with recorded(api_engine) as statements:
            answer = await send(api, admin, "email,name,cohort", *lines)
        assert answer.json()["counts"]["created"] == number
        return len(statements)

    await api.get(admin, "/me")

    assert await counted(8) == await counted(300) <= 8
