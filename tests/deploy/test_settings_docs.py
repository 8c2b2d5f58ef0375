"""docs/settings.md names every variable that a program reads."""

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
from deploy.local.settings import CHECKOUT, StackSettings
from deploy.migrate import AppRoleSettings
from deploy.smoke import SmokeSettings
from deploy.smoke_account import SmokeAccountSettings
from persistence.database import DatabaseSettings
from persistence.encryption import EncryptionSettings
from persistence.erasure_list import ErasureListSettings
from persistence.migrations.locks import MigrationSettings
from persistence.repositories.retention import RetentionSettings
from persistence.vectors.weaviate_settings import WeaviateSettings
from workflows.engine.payload_codec import PayloadSettings
from workflows.engine.worker_settings import EssaySettings, WorkerSettings
from workflows.telemetry.tracing import TracingSettings

SETTINGS: tuple[type[BaseSettings], ...] = (
    ApiSettings,
    AppRoleSettings,
    DatabaseSettings,
    DebugSettings,
    EmbeddingSettings,
    ErasureListSettings,
    EssaySettings,
    HttpSettings,
    MailSettings,
    MetricsSettings,
    MigrationSettings,
    MiniLMSettings,
    OidcSettings,
    OpenAIEmbeddingSettings,
    OpenAISettings,
    PayloadSettings,
    RateLimitSettings,
    RetentionSettings,
    EncryptionSettings,
    SmokeAccountSettings,
    SmokeSettings,
    StackSettings,
    TracingSettings,
    WeaviateSettings,
    WebhookSettings,
    WorkerSettings,
)

ELSEWHERE = {"openapi_schema_validator", "openapi_spec_validator", "pydantic_settings", "tests"}


def variables(settings: type[BaseSettings]) -> list[str]:
    prefix = settings.model_config.get("env_prefix", "")
    fields = settings.model_fields.items()
    return [str(field.validation_alias or f"{prefix}{name}").upper() for name, field in fields]


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda each: each.__name__)
def test_every_variable_is_documented(settings: type[BaseSettings]) -> None:
    document = (CHECKOUT / "docs" / "settings.md").read_text(encoding="utf-8")

    assert [name for name in variables(settings) if f"`{name}`" not in document] == []


def test_no_settings_are_forgotten() -> None:
    def below(kind: type[BaseSettings]) -> set[type[BaseSettings]]:
        return {kind, *(each for child in kind.__subclasses__() for each in below(child))}

    ours = {each for each in below(BaseSettings) if each.__module__.partition(".")[0] not in ELSEWHERE}
    fields = {name for each in SETTINGS for name in variables(each)}
    assert [name for each in ours for name in variables(each) if name not in fields] == []
