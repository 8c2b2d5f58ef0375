"""The sources of a copied answer: a link is shown only to an answer that the advisor may open."""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import pytest

from domain.grading.scores import CopiedFrom
from tests.api.appeals.appeal_requests import opened
from tests.api.conftest import Api
from tests.pages.advisors import FLAGGED, Staff
from tests.pages.conftest import Browser

LINK: Final = "open the other answer"


async def copied(staff: Staff, assessment_id: UUID, snapshot_id: UUID) -> dict[str, Any]:
    """Publish a result whose essays are copied from an answer of the assessment."""
    source = CopiedFrom(assessment_id=assessment_id, snapshot_id=snapshot_id, share=Decimal("0.43"))
    return await staff.graded(**FLAGGED, copied_from=(source,))


async def pages(staff: Staff, copy: Mapping[str, Any]) -> dict[str, str]:
    """Return the pages that show an essay of the assessment."""
    return {
        path: await staff.page(path)
        for path in (f"/reviews/items/{await staff.item_of(dict(copy))}", f"/assessments/{copy['assessment_id']}")
    }


@pytest.mark.parametrize("blind", [False, True])
async def test_a_source_with_a_result_is_linked(staff: Staff, *, blind: bool) -> None:
    await staff.set(audit_share=0.0, blind=blind)
    source = await staff.waiting()
    item_id = await staff.item_of(source)
    copy = await copied(staff, UUID(source["assessment_id"]), UUID(item_id))

    shown = await pages(staff, copy)

    for page in shown.values():
        assert "43\u00a0% of the words" in page
        assert f'href="/reviews/items/{item_id}"' in page
    assert (await staff.open(f"/reviews/items/{item_id}")).status_code == 200


async def test_a_source_without_a_result_is_named_but_not_linked(staff: Staff) -> None:
    student = await staff.student()
    source = await staff.api.start(student)
    await staff.api.submit(student, source)
    copy = await copied(staff, UUID(source["assessment_id"]), UUID(int=7))

    shown = await pages(staff, copy)

    assert [("43\u00a0% of the words" in page, LINK in page) for page in shown.values()] == [(True, False)] * 2


async def test_a_source_of_another_organization_is_not_linked(
    staff: Staff,
    api: Api,
    new_browser: Callable[[], Browser],
    password_hash: str,
) -> None:
    other = await Staff.of(api, new_browser, password_hash)
    source = await other.graded()
    copy = await copied(staff, UUID(source["assessment_id"]), UUID(int=8))

    shown = await pages(staff, copy)

    assert [LINK in page for page in shown.values()] == [False] * 2


async def test_the_page_of_an_appeal_does_not_link_a_deleted_source(staff: Staff) -> None:
    copy = await copied(staff, UUID(int=1), UUID(int=2))
    appeal = await opened(staff.api, copy["student"], copy)

    page = await staff.page(f"/appeals/{appeal['appeal_id']}")

    assert ("43\u00a0% of the words" in page, LINK in page) == (True, False)
