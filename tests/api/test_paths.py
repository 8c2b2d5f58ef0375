"""Only canonical paths are accepted, so that another spelling cannot bypass the rules of a proxy."""

import pytest

from tests.api.conftest import Api, Person

ID = "3f0c8a52-9d55-4b5e-8a53-6f0f5a4bb3a1"


@pytest.mark.parametrize(
    "path",
    [
        "/api%2fv1%2fme",
        "/api/v1%2Fme",
        "/api%252fv1%252fme",
        "/api%5cv1%5cme",
        "/api/v1/%6de",
        "/api/v1/m%65",
        "/api/v1/%2e/me",
        "/api/v1/roles/%2e%2e/me",
        "/api/v1/me%3b",
        "/api/v1/me;a=b",
        "//api/v1/me",
        "/api//v1/me",
        "/api/v1/me//",
        f"/api/v1/assessments/{ID}%2fresult",
        "/%68ealthz",
        "/%6detrics",
        "/metrics%2fwork",
        "/openapi%2ejson",
    ],
)
async def test_another_spelling_is_refused(api: Api, learner: Person, path: str) -> None:
    answer = await api.client.get(f"http://api.test{path}", headers=learner.headers)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "VALIDATION_400")
    assert answer.json()["details"][0]["field"] == "path"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_the_refusal_comes_before_the_token_is_looked_at(api: Api) -> None:
    assert (await api.client.get("http://api.test/api%2fv1%2fme")).status_code == 400


@pytest.mark.parametrize(
    ("path", "status"),
    [("/api/v1/me", 200), ("/api/v1/catalog/search?q=a%2fb%3bc", 200), ("/api/v1/me/", 404), ("/api/v1/me%20", 404)],
)
async def test_the_usual_spelling_is_served(api: Api, learner: Person, path: str, status: int) -> None:
    assert (await api.client.get(path, headers=learner.headers)).status_code == status
