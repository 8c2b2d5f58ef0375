"""Who embeds the catalogue and every query that searches it."""

from typing import Literal

from pydantic_settings import BaseSettings, SettingsConfigDict


class EmbeddingSettings(BaseSettings):
    """`EMBEDDING_PROVIDER`: `minilm` in our own process, or `openai`, which is paid.

    One for the whole catalogue: vectors of different models are never compared.
    """

    model_config = SettingsConfigDict(env_prefix="EMBEDDING_", frozen=True, extra="ignore", env_ignore_empty=True)

    provider: Literal["minilm", "openai"] = "minilm"
