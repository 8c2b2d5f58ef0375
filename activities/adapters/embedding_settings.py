"""The setting for the provider that embeds the catalogue and the search queries."""

from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict


class EmbeddingSettings(BaseSettings):
    """`EMBEDDING_PROVIDER`: `minilm` runs in the worker process; `openai` is a paid API.

    The whole catalogue uses one provider, because vectors of different models cannot be compared.
    """

    model_config = SettingsConfigDict(env_prefix="EMBEDDING_", frozen=True, extra="ignore", env_ignore_empty=True)

    provider: Literal["minilm", "openai"] = "minilm"
