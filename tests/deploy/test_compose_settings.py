"""Each setting of `.env` reaches the containers whose processes read it."""

import pytest
from pydantic_settings import BaseSettings

from activities.adapters.embedding_settings import EmbeddingSettings
from activities.adapters.mail.smtp import MailSettings
from activities.adapters.minilm.embedder import MiniLMSettings
from activities.adapters.openai.embedder import OpenAIEmbeddingSettings
from activities.adapters.openai.grader import OpenAISettings
from activities.adapters.webhooks.sender import WebhookSettings
from activities.debugging import DebugSettings
from api.middleware.request_metrics import MetricsSettings
from api.middleware.response_headers import HttpSettings
from api.security.oidc import OidcSettings
from api.security.rate_limits import RateLimitSettings
from api.settings import ApiSettings
from deploy.local.settings import StackSettings
from deploy.migrate import AppRoleSettings
from deploy.smoke import SmokeSettings
from deploy.smoke_account import SmokeAccountSettings
from persistence.database import DatabaseSettings
from persistence.encryption import EncryptionSettings
from persistence.erasure_list import ErasureListSettings
from persistence.migrations.locks import MigrationSettings
from persistence.repositories.retention import RetentionSettings
from persistence.vectors.weaviate_settings import WeaviateSettings
from tests.deploy.test_settings_docs import SETTINGS, variables
from tests.support import compose
from tests.support.deployed import WITH_MODEL
from workflows.engine.payload_codec import PayloadSettings
from workflows.engine.worker_settings import EssaySettings, WorkerSettings
from workflows.telemetry.tracing import TracingSettings

EVERY_WORKER: tuple[type[BaseSettings], ...] = (
    DatabaseSettings,
    DebugSettings,
    ErasureListSettings,
    EssaySettings,
    PayloadSettings,
    RetentionSettings,
    TracingSettings,
    WorkerSettings,
)
READ_BY: dict[str, tuple[type[BaseSettings], ...]] = {
    "migrate": (AppRoleSettings, DatabaseSettings, MigrationSettings),
    "seed": (DatabaseSettings, MiniLMSettings, WeaviateSettings),
    "api": (
        ApiSettings,
        DatabaseSettings,
        DebugSettings,
        HttpSettings,
        MetricsSettings,
        PayloadSettings,
        OidcSettings,
        RateLimitSettings,
        EncryptionSettings,
        TracingSettings,
        WebhookSettings,
    ),
    "worker-assessments": EVERY_WORKER,
    "worker-llm": (*EVERY_WORKER, OpenAISettings),
    "worker-embeddings": (
        *EVERY_WORKER,
        EmbeddingSettings,
        MiniLMSettings,
        OpenAIEmbeddingSettings,
        WeaviateSettings,
    ),
    "worker-webhooks": (*EVERY_WORKER, EncryptionSettings, MailSettings, WebhookSettings),
}
OUTSIDE: set[type[BaseSettings]] = {SmokeAccountSettings, SmokeSettings, StackSettings}
"""Settings of programs that run outside the containers."""
FIXED = {"DATABASE_URL", "TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "API_HOST", "API_PORT", "ERASURE_LIST"}
"""Settings with a fixed value in the compose file: addresses, ports and volumes."""
WITHHELD = {("worker-assessments", "OPENAI_API_KEY"), ("worker-webhooks", "OPENAI_API_KEY")}


@pytest.mark.parametrize("service", READ_BY)
def test_a_service_gets_each_setting_that_its_process_reads(service: str) -> None:
    read = {name for settings in READ_BY[service] for name in variables(settings)} - FIXED
    read = {name for name in read if (service, name) not in WITHHELD}
    set_in_env = WITH_MODEL | {name: f"value of {name}" for name in read}

    got = compose.services(set_in_env)[service]["environment"]

    assert [name for name in sorted(read) if set_in_env[name] not in got.get(name, "")] == []


@pytest.mark.parametrize("service", READ_BY)
def test_a_setting_that_is_not_set_is_not_passed_empty(service: str) -> None:
    environment = compose.services(WITH_MODEL)[service]["environment"]

    assert {name for name, value in environment.items() if not value} <= {"OPENAI_API_KEY"}


def test_every_kind_of_settings_is_read_by_a_service() -> None:
    read = {settings for each in READ_BY.values() for settings in each}

    assert set(SETTINGS) - read - OUTSIDE == set()
