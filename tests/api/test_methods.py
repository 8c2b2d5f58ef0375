"""Methods that a path does not support."""

import pytest

from tests.api.conftest import Api, Person

ENDPOINT = "/api/v1/webhooks/endpoints/00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", ENDPOINT, "DELETE, GET, PATCH"),
        ("GET", "/api/v1/assessments/start", "POST"),
        ("HEAD", "/api/v1/assessments/start", "POST"),
        ("OPTIONS", "/healthz", "GET"),
        ("PROPFIND", "/healthz", "GET"),
        ("PROPFIND", ENDPOINT, "DELETE, GET, PATCH"),
    ],
)
async def test_all_that_an_address_takes_is_named(api: Api, method: str, path: str, allowed: str) -> None:
    answer = await api.client.request(method, path)

    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)


async def test_an_address_with_parameters_still_takes_the_rest(api: Api, learner: Person) -> None:
    started = await api.start(learner)

    answer = await api.client.get(f"/api/v1/assessments/{started['assessment_id']}", headers=learner.headers)

    assert answer.status_code == 200
