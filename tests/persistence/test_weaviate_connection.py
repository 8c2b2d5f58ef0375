"""Settings of the Weaviate connection, and the errors of wrong ones."""

from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from deploy.local.ports import free_port
from domain.errors import ExternalServiceError
from domain.recommending.ports import SearchQuery
from persistence.vectors.weaviate import Weaviate, WeaviateIndex
from persistence.vectors.weaviate_settings import WeaviateSettings
from tests.persistence.index_stores import MODEL, PROVIDER, towards
from tests.support.vector_stores import settings_of_weaviate
from workflows.engine.catalog_searches import DEADLINE_S


async def search(settings: WeaviateSettings) -> None:
    async with Weaviate(settings) as weaviate:
        await WeaviateIndex(weaviate, PROVIDER, MODEL).search([SearchQuery(text="a", vector=towards(0))], limit=1)


@pytest.mark.parametrize("url", ["weaviate.example:8080", "ftp://weaviate.example", "http://"])
def test_an_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(ValidationError, match="https://host:port"):
        WeaviateSettings(url=url)


def test_an_empty_variable_counts_as_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WEAVIATE_URL", "WEAVIATE_GRPC_PORT", "WEAVIATE_API_KEY"):
        monkeypatch.setenv(name, "")

    settings = WeaviateSettings()

    assert (settings.url, settings.grpc_port, settings.api_key) == (None, 50051, None)


def test_the_default_deadline_leaves_time_for_the_fallback() -> None:
    assert WeaviateSettings().deadline_s <= DEADLINE_S / 2


def test_the_key_is_never_printed() -> None:
    assert "very-secret" not in repr(WeaviateSettings(api_key=SecretStr("very-secret")))


async def test_a_wrong_key_is_an_error_of_the_service(weaviate_environment: dict[str, str]) -> None:
    with pytest.raises(ExternalServiceError):
        await search(settings_of_weaviate(weaviate_environment | {"WEAVIATE_API_KEY": "wrong"}))


async def test_tls_to_a_server_without_it_is_an_error_of_the_service(weaviate_environment: dict[str, str]) -> None:
    url = weaviate_environment["WEAVIATE_URL"].replace("http://", "https://")

    with pytest.raises(ExternalServiceError):
        await search(settings_of_weaviate(weaviate_environment | {"WEAVIATE_URL": url}))


@pytest.mark.parametrize(
    ("changes", "http", "grpc"),
    [
        (
            {"url": "http://weaviate.example:8080"},
            ("weaviate.example", 8080, False),
            ("weaviate.example", 50051, False),
        ),
        ({"url": "https://weaviate.example"}, ("weaviate.example", 443, True), ("weaviate.example", 50051, True)),
        ({"url": "http://weaviate.example"}, ("weaviate.example", 80, False), ("weaviate.example", 50051, False)),
        (
            {"url": "https://weaviate.example", "grpc_host": "grpc.example", "grpc_port": 443},
            ("weaviate.example", 443, True),
            ("grpc.example", 443, True),
        ),
    ],
)
def test_both_of_the_servers_ports_are_reached_as_they_are_set(
    changes: dict[str, Any], http: tuple[str, int, bool], grpc: tuple[str, int, bool]
) -> None:
    reached = Weaviate(WeaviateSettings(**changes))._client._connection._connection_params

    assert [(each.host, each.port, each.secure) for each in (reached.http, reached.grpc)] == [http, grpc]


def test_the_times_that_are_set_bound_searches_and_batches() -> None:
    settings = WeaviateSettings(url="http://weaviate.example", deadline_s=0.5, write_timeout_s=7)

    set_to = Weaviate(settings)._client._connection.timeout_config

    assert (set_to.query, set_to.init, set_to.insert) == (0.5, 0.5, 7)


async def test_a_wrong_port_of_grpc_is_an_error_of_the_service(weaviate_environment: dict[str, str]) -> None:
    wrong = {"WEAVIATE_GRPC_PORT": str(free_port()), "WEAVIATE_DEADLINE_S": "1"}

    with pytest.raises(ExternalServiceError):
        await search(settings_of_weaviate(weaviate_environment | wrong))
