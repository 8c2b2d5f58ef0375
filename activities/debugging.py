"""Full error traces for developers: messages, causes and local variables."""

import traceback
from typing import Any, Final, Literal, Self

from pydantic import model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from structlog.tracebacks import ExceptionDictTransformer

FRAMES: Final = 12
"""The number of stack frames of an error that are logged."""


class DebugSettings(BaseSettings):
    """`MICROCRED_DEBUG=true`: unexpected errors are raised again, and logs and histories contain their full trace.

    A trace contains local variables, such as a student's answer. The setting is rejected outside development.
    """

    model_config = SettingsConfigDict(frozen=True, env_ignore_empty=True, extra="ignore")

    microcred_env: Literal["development", "staging", "production"] = "production"
    microcred_debug: bool = False

    @model_validator(mode="after")
    def _refuse_outside_development(self) -> Self:
        if self.microcred_debug and self.microcred_env != "development":
            raise ValueError("MICROCRED_DEBUG is for development only: a trace shows what students answered")
        return self


def frames_of(error: BaseException) -> list[str]:
    """Return where the error was raised, without its message, which may contain the input.

    Of installed packages, only the innermost frame is kept: a statement passes through more than twelve of them.
    """
    frames = traceback.extract_tb(error.__traceback__)
    kept = [frame for frame in frames if frame is frames[-1] or "site-packages" not in frame.filename]
    return [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in kept[-FRAMES:]]


def trace_of(error: BaseException) -> list[dict[str, Any]]:
    """Return the error and its causes as JSON values: messages, frames and local variables."""
    return ExceptionDictTransformer(show_locals=True)((type(error), error, error.__traceback__))
