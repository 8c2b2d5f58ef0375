"""The pages of re-scores: request a dry run, follow it, read the differences, apply and discard."""

from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select, update

from activities.advance_rescore import BROKEN
from persistence.tables import QuestionRow, RescoreDifferenceRow, RescoreRow
from tests.api.conftest import Api, Person
from tests.api.test_rescores import audited, computed, requested, runs_of
from tests.pages.admin import admin  # noqa: F401  # fixture
from tests.pages.advisors import Staff
from tests.pages.conftest import Browser
from tests.support.builders import ROLE_ID

pytestmark = pytest.mark.usefixtures("admin")

GERMAN = {"Accept-Language": "de"}
WISH = {"subject": f"role_id:{ROLE_ID}", "scope": "rules", "reason": "The key of question 4 was wrong"}


async def changed(api: Api, rescore_id: str, **values: Any) -> None:
    async with api.sessions() as session:
        await session.execute(update(RescoreRow).filter_by(id=UUID(rescore_id)).values(**values))
        await session.commit()


async def status_of(api: Api, person: Person, rescore_id: str) -> str:
    return str((await api.get(person, f"/rescores/{rescore_id}")).json()["status"])


async def test_a_dry_run_is_requested_and_started(api: Api, browser: Browser, admin: Person) -> None:  # noqa: F811
    answer = await browser.send("/rescores/new", WISH | {"since": "2026-01-31"})

    assert answer.status_code == 303
    path = answer.headers["location"].partition("?")[0]
    shown = (await api.get(admin, path)).json()
    assert (shown["role_id"], shown["scope"], shown["since"], shown["reason"]) == (
        str(ROLE_ID),
        "rules",
        "2026-01-31T00:00:00Z",
        WISH["reason"],
    )
    assert UUID(shown["rescore_id"]) in runs_of(api).started
    assert "Waiting to start" in (await browser.open(path)).text


async def test_a_form_that_is_sent_twice_starts_one_dry_run(browser: Browser) -> None:
    wish = WISH | {"once": str(uuid4())}

    first, second = [(await browser.send("/rescores/new", wish)).headers["location"] for _ in range(2)]

    assert first.endswith("?done=rescore_requested")
    assert second == "/rescores?done=already_sent"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"subject": ""}, "subject"),
        ({"subject": "role_id:x"}, "subject"),
        ({"subject": "question_key:no-such-question"}, "subject"),
        ({"scope": "everything"}, "scope"),
        ({"reason": " "}, "reason"),
        ({"since": "soon"}, "since"),
        ({"versions": "v1"}, "versions"),
    ],
)
async def test_a_refused_form_names_the_field_and_keeps_the_rest(
    browser: Browser, change: dict[str, str], field: str
) -> None:
    page = await browser.send("/rescores/new", {"reason": "Why it is done", **WISH, **change})

    assert page.status_code == 400
    assert f'<a href="#{field}">' in page.text
    assert f'id="{field}"' in page.text


async def test_a_question_is_chosen_by_a_link(api: Api, browser: Browser) -> None:
    async with api.sessions() as session:
        key = (await session.scalars(select(QuestionRow.key).filter_by(active=True).limit(1))).one()

    page = (await browser.open(f"/rescores/new?question_key={key}")).text

    assert f'<option value="question_key:{key}" selected>' in page


async def test_changed_results_come_first_with_counts(api: Api, browser: Browser, admin: Person) -> None:  # noqa: F811
    rescore_id, ids = await computed(api, admin, number=2)
    async with api.sessions() as session:
        unchanged = update(RescoreDifferenceRow).filter_by(rescore_id=UUID(rescore_id), assessment_id=UUID(ids[0]))
        await session.execute(unchanged.values(outcome="same", new_points=1, missed_target=False))
        await session.commit()

    page = (await browser.open(f"/rescores/{rescore_id}")).text
    others = (await browser.open(f"/rescores/{rescore_id}?outcome=same")).text

    assert 'Changed <span class="tabs__count">1</span>' in page
    assert f'href="/assessments/{ids[1]}"' in page
    assert f'href="/assessments/{ids[0]}"' not in page
    assert "Falls below the target: SQL querying" in page
    assert f'href="/assessments/{ids[0]}"' in others


async def test_a_blind_organization_sees_no_name_of_an_undecided_assessment(
    api: Api, new_browser: Callable[[], Browser], password_hash: str
) -> None:
    staff = await Staff.of(api, new_browser, password_hash)
    started = await staff.waiting(name="Ada Example")
    rescore_id, _ = await computed(api, await staff.api.person("admin", of=staff.organization_id))
    async with api.sessions() as session:
        theirs = update(RescoreDifferenceRow).filter_by(rescore_id=UUID(rescore_id))
        await session.execute(theirs.values(assessment_id=UUID(started["assessment_id"])))
        await session.commit()

    named = await staff.page(f"/rescores/{rescore_id}")
    await staff.set(blind=True, audit_share=0.0)
    hidden = await staff.page(f"/rescores/{rescore_id}")

    assert "Ada Example" in named
    assert "name hidden" in hidden
    assert [text for text in ("Ada Example", str(started["student"].id)) if text in hidden] == []


async def test_reasons_of_a_rescore_are_translated(api: Api, browser: Browser, admin: Person) -> None:  # noqa: F811
    item: dict[str, Any] = {"question_id": str(uuid4()), "old_points": "1", "new_points": "1"}
    item |= {"old_max_points": "1", "new_max_points": "1", "old_levels": {}, "new_levels": {}}
    item["not_comparable"] = "The question was withdrawn."
    rescore_id, _ = await computed(api, admin, items=[item], problem=BROKEN)
    await changed(api, rescore_id, status="stopped", stop_reason="essay_budget_spent")

    page = (await browser.open(f"/rescores/{rescore_id}", **GERMAN)).text

    assert "Die Frage wurde zurückgezogen." in page
    assert "Das gespeicherte Ergebnis ist ungültig." in page
    assert "Das heutige Budget der Organisation ist ausgegeben." in page


async def test_links_and_the_difference_of_points_have_their_own_words_in_german(
    api: Api,
    browser: Browser,
    admin: Person,  # noqa: F811
) -> None:
    rescore_id, _ = await computed(api, admin)

    listed, page = [(await browser.open(path, **GERMAN)).text for path in ("/rescores", f"/rescores/{rescore_id}")]

    assert ">Öffnen<" in listed
    assert ">Öffnen<" in page
    assert '<th scope="col">Änderung</th>' in page


async def test_a_scope_that_does_not_cover_the_question_is_explained_in_the_language(
    api: Api, browser: Browser
) -> None:
    async with api.sessions() as session:
        key = (await session.scalars(select(QuestionRow.key).filter_by(active=True, kind="text").limit(1))).one()

    page = await browser.send("/rescores/new", WISH | {"subject": f"question_key:{key}"}, **GERMAN)

    assert "Umfang: passt nicht zur Art dieser Frage" in page.text


async def test_the_differences_are_downloaded(api: Api, browser: Browser, admin: Person) -> None:  # noqa: F811
    rescore_id, ids = await computed(api, admin)

    answer = await browser.open(f"/rescores/{rescore_id}/differences.csv")

    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.content.startswith(b"\xef\xbb\xbfassessment_id,")
    assert ids[0] in answer.text


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("at_once", "Students see the new result at once"),
        ("doubtful_held", "unless it takes points from an answer"),
        ("all_held", "Every new result is held"),
    ],
)
async def test_a_confirmation_says_what_applying_does(
    api: Api, new_browser: Callable[[], Browser], password_hash: str, policy: str, told: str
) -> None:
    staff = await Staff.of(api, new_browser, password_hash, "admin")
    await staff.set(release=policy)
    rescore_id, _ = await computed(api, staff.advisor)

    page = (await staff.send(f"/rescores/{rescore_id}/apply", action="all")).text

    assert told in page
    assert "1 result gets a new version." in page
    assert await status_of(api, staff.advisor, rescore_id) == "computed"


async def test_all_changes_are_applied_after_the_confirmation(api: Api, browser: Browser, admin: Person) -> None:  # noqa: F811
    rescore_id, _ = await computed(api, admin, number=2)
    runs_of(api).started.clear()

    answer = await browser.send(f"/rescores/{rescore_id}/apply", {"action": "all", "confirmed": "yes"})

    assert answer.headers["location"] == f"/rescores/{rescore_id}?done=rescore_applied"
    assert await status_of(api, admin, rescore_id) == "applying"
    assert runs_of(api).started == [UUID(rescore_id)]


async def test_selected_changes_are_applied(api: Api, browser: Browser, admin: Person) -> None:  # noqa: F811
    rescore_id, ids = await computed(api, admin, number=2)
    selected = {"action": "selected", "id.1": ids[1]}

    asked = (await browser.send(f"/rescores/{rescore_id}/apply", selected)).text
    await browser.send(f"/rescores/{rescore_id}/apply", selected | {"confirmed": "yes"})

    assert f'<input type="hidden" name="id.1" value="{ids[1]}">' in asked
    listed = (await api.get(admin, f"/rescores/{rescore_id}/differences")).json()["items"]
    assert {each["assessment_id"]: each["status"] for each in listed} == {ids[0]: "computed", ids[1]: "applying"}


async def test_nothing_selected_applies_nothing(api: Api, browser: Browser, admin: Person) -> None:  # noqa: F811
    rescore_id, _ = await computed(api, admin)

    page = (await browser.send(f"/rescores/{rescore_id}/apply", {"action": "selected"})).text

    assert "No change is selected" in page
    assert await status_of(api, admin, rescore_id) == "computed"


async def test_a_rescore_is_discarded_after_a_confirmation(api: Api, browser: Browser, admin: Person) -> None:  # noqa: F811
    rescore_id, _ = await computed(api, admin)

    asked = await browser.send(f"/rescores/{rescore_id}/discard")
    before = await status_of(api, admin, rescore_id)
    await browser.send(f"/rescores/{rescore_id}/discard", {"confirmed": "yes"})

    assert "Discard the re-score?" in asked.text
    assert (before, await status_of(api, admin, rescore_id)) == ("computed", "discarding")
    assert await audited(api, rescore_id) == ["rescore.requested", "rescore.discarded"]


async def test_progress_is_loaded_until_the_work_ends(api: Api, browser: Browser, admin: Person) -> None:  # noqa: F811
    rescore_id, _ = await computed(api, admin)
    await changed(api, rescore_id, status="computing", done=1, total=3)
    path = f"/rescores/{rescore_id}/progress"

    running = await browser.open(path)
    await changed(api, rescore_id, status="stopped", stop_reason="essay_budget_spent")
    ended = await browser.open(path)

    assert "1 of 3 results are compared." in running.text
    assert 'hx-trigger="every 4s"' in running.text
    assert "HX-Refresh" not in running.headers
    assert ended.headers["HX-Refresh"] == "true"
    assert "stopped early" in ended.text


async def test_an_advisor_reads_but_does_not_request_or_apply(
    api: Api,
    admin: Person,  # noqa: F811
    new_browser: Callable[[], Browser],
    password_hash: str,
) -> None:
    rescore_id, _ = await computed(api, admin)
    reader = new_browser()
    await reader.sign_in(await api.person("advisor", password_hash=password_hash))

    page = await reader.open(f"/rescores/{rescore_id}")
    refused = [
        (await reader.open("/rescores/new")).status_code,
        (await reader.send("/rescores/new", WISH)).status_code,
        (await reader.send(f"/rescores/{rescore_id}/apply", {"confirmed": "yes"})).status_code,
        (await reader.send(f"/rescores/{rescore_id}/discard", {"confirmed": "yes"})).status_code,
    ]

    assert page.status_code == 200
    assert "/apply" not in page.text.partition("<table")[0]
    assert refused == [403] * 4


async def test_the_list_has_the_organizations_rescores_only(
    api: Api,
    browser: Browser,
    admin: Person,  # noqa: F811
) -> None:
    mine = await requested(api, admin)
    theirs = await requested(api, await api.person("admin", elsewhere=True))

    page = (await browser.open("/rescores")).text

    assert mine in page
    assert theirs not in page
    assert (await browser.open(f"/rescores/{theirs}")).status_code == 404
