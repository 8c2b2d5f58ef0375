"""The list of user accounts."""

from uuid import UUID

import pytest

from tests.api.conftest import Api, Person


async def test_the_list_has_stable_pages(api: Api, elsewhere: UUID) -> None:
    admin = await api.person("admin", of=elsewhere)
    made = [admin.id, *[(await api.person(of=elsewhere)).id for _ in range(4)]]

    first = (await api.get(admin, "/users", limit="2")).json()
    await api.person(of=elsewhere)
    second = (await api.get(admin, "/users", limit="2", cursor=first["next_cursor"])).json()
    third = (await api.get(admin, "/users", limit="2", cursor=second["next_cursor"])).json()

    listed = [item["user_id"] for page in (first, second, third) for item in page["items"]]
    assert listed == [str(each) for each in made[::-1]]
    assert "next_cursor" not in third


async def test_filters_narrow_the_list(api: Api, elsewhere: UUID) -> None:
    admin = await api.person("admin", of=elsewhere)
    advisor = await api.person("advisor", of=elsewhere, email="Filtered.One@example.org")
    student = await api.person(of=elsewhere, status="disabled")
    await api.person(of=elsewhere, status="erased")

    async def found(who: Person, **query: str) -> set[str]:
        return {item["user_id"] for item in (await api.get(who, "/users", **query)).json()["items"]}

    mine = {str(each.id) for each in (admin, advisor, student)}
    assert await found(admin) == mine
    assert await found(admin, role="advisor") == {str(advisor.id)}
    assert await found(admin, status="disabled") == {str(student.id)}
    assert await found(admin, email="filtered.one@EXAMPLE.org") == {str(advisor.id)}
    assert await found(admin, organization_id=str(api.organization_id)) == set()
    assert await found(await api.person("platform_admin"), organization_id=str(elsewhere)) == {str(admin.id)}


@pytest.mark.parametrize(
    "query",
    [{"role": "owner"}, {"status": "erased"}, {"email": "%"}, {"limit": "0"}, {"cursor": "x"}, {"unknown": "1"}],
    ids=str,
)
async def test_an_invalid_filter_is_400(api: Api, admin: Person, query: dict[str, str]) -> None:
    assert (await api.get(admin, "/users", **query)).status_code == 400
