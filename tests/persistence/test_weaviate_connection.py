"""Reaching Weaviate: what may be set, and what happens where it is wrong."""

import pytest
from pydantic import SecretStr, ValidationError

from domain.errors import ExternalServiceError
from domain.ports import SearchQuery
from persistence.vectors.weaviate import Weaviate, WeaviateIndex, WeaviateSettings
from tests.persistence.shelves import MODEL, PROVIDER, towards
from tests.vector_stores import settings_of_weaviate


async def search(settings: WeaviateSettings) -> None:
    async with Weaviate(settings) as weaviate:
        await WeaviateIndex(weaviate, PROVIDER, MODEL).search([SearchQuery(text="a", vector=towards(0))], limit=1)


@pytest.mark.parametrize("url", ["weaviate.example:8080", "ftp://weaviate.example", "http://"])
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="https://host:port"):
        WeaviateSettings(url=url)


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WEAVIATE_URL", "WEAVIATE_GRPC_PORT", "WEAVIATE_API_KEY"):
        monkeypatch.setenv(name, "")

    settings = WeaviateSettings()

    assert (settings.url, settings.grpc_port, settings.api_key) == (None, 50051, None)


def test_the_key_is_never_printed() -> None:
    assert "very-secret" not in repr(WeaviateSettings(api_key=SecretStr("very-secret")))


async def test_a_wrong_key_is_an_error_of_the_service(weaviate_environment: dict[str, str]) -> None:
    with pytest.raises(ExternalServiceError):
        await search(settings_of_weaviate(weaviate_environment | {"WEAVIATE_API_KEY": "wrong"}))


async def test_tls_to_a_server_without_it_is_an_error_of_the_service(weaviate_environment: dict[str, str]) -> None:
    url = weaviate_environment["WEAVIATE_URL"].replace("http://", "https://")

    with pytest.raises(ExternalServiceError):
        await search(settings_of_weaviate(weaviate_environment | {"WEAVIATE_URL": url}))
