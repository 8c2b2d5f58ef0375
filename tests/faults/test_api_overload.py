"""With more clients than the API accepts, every client gets a response; an overloaded API sends `Retry-After`."""

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from api.security.tokens import Principal, Tokens, UserRole
from domain.ids import derived_id
from tests.benchmarks import workload
from tests.benchmarks.connections import Answer, Connection, request_bytes
from tests.faults.apis import Apis
from tests.support.databases import Databases
from tests.support.student_client import ROLES

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

CONNECTIONS = 500
REQUESTS = 4
"""Send requests one after the other on each connection."""
WITHIN_S = 120
ROLE = {"role_id": str(derived_id("role", ROLES[0]))}


@pytest.mark.parametrize("places", [500, 40])
def test_each_of_500_connections_is_answered(
    places: int, seeded_template: tuple[Databases, str], tmp_path: Path
) -> None:
    databases, name = seeded_template
    with (
        databases.new("overload", name) as url,
        Apis(tmp_path, url, 1, {"API_MAX_REQUESTS": str(places)}) as apis,
    ):
        tokens = Tokens(SecretStr(apis.environment["JWT_SECRET"]), timedelta(minutes=15))
        people = [
            Principal(user_id=each.id, role=UserRole.STUDENT, organization_id=each.organization_id, version=0)
            for each in workload.add_students(url, CONNECTIONS)
        ]
        answers = asyncio.run(_all_at_once(apis.ports[0], [tokens.issue(each) for each in people]))

    statuses = Counter(answer.status for answer in answers)
    assert statuses.keys() <= {200, 201, 503}
    assert all(answer.headers["retry-after"].isdigit() for answer in answers if answer.status == 503)
    assert statuses[200] > 0
    assert statuses[201] > 0
    assert (statuses[503] > 0) or places == CONNECTIONS


async def _all_at_once(port: int, tokens: list[str]) -> list[Answer]:
    """Send requests after all connections are open."""
    connections = [await Connection.open(port) for _ in tokens]

    async def converse(connection: Connection, token: str) -> list[Answer]:
        read = request_bytes("GET", "/api/v1/assessments", token=token)
        start = request_bytes("POST", "/api/v1/assessments/start", token=token, body=ROLE)
        return [await connection.send(request) for request in [read] * (REQUESTS - 1) + [start]]

    async with asyncio.timeout(WITHIN_S):
        found = await asyncio.gather(*map(converse, connections, tokens))
    for connection in connections:
        connection.close()
    return [answer for each in found for answer in each]
