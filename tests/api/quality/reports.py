"""Read the quality reports over HTTP."""

from typing import Any

from tests.api.conftest import Api, Person


async def read(api: Api, person: Person, path: str, **query: Any) -> dict[str, Any]:
    answer = await api.get(person, f"/quality/{path}", **query)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found
