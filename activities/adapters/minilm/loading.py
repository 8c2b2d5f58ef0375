"""Choose the program that runs MiniLM."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import numpy as np
import structlog

from activities.adapters.minilm import export
from activities.adapters.minilm.export import PROBE, Export, find_export
from activities.adapters.minilm.runtimes import (
    ExportedRuntime,
    Runtime,
    RuntimeName,
    TorchRuntime,
    installed,
    onnx_network,
    openvino_network,
    openvino_uses_bfloat16,
)
from activities.adapters.minilm.settings import MiniLMSettings
from activities.adapters.minilm.tokens import MiniLMTokenizer
from domain.errors import CorruptData, InvalidInput

LEAST_COSINE: Final = 0.9999
"""The least similarity of each vector of `PROBE` to PyTorch's vector of the same text."""
LEAST_COSINE_INT8: Final = 0.95
"""The same for 8-bit weights: 0.977 was measured on a CPU without instructions for 8-bit products."""
EXPORT_DEADLINE_S: Final = 600.0

_ROOT: Final = Path(__file__).parents[3]
_PROBE_BATCH: Final = 4

log = structlog.get_logger(__name__)


def load_runtime(settings: MiniLMSettings) -> Runtime:
    """Load the model into the configured runtime. Takes seconds.

    `auto` uses PyTorch if no other runtime is installed or usable. A runtime chosen by name has no fallback.

    Raises:
        CorruptData: the model's files are missing, or the runtime's vectors differ from PyTorch's.
        InvalidInput: the configured runtime is not installed.
    """
    if settings.path is None or not (settings.path / "modules.json").is_file():
        raise CorruptData("MINILM_PATH is not a folder with a sentence-transformers model")
    runtime = _load(settings, settings.path)
    log.info("embedder_runtime", runtime=runtime.name)
    return runtime


def _load(settings: MiniLMSettings, model: Path) -> Runtime:
    if settings.runtime == "auto":
        return _fastest(settings, model)
    if not installed(settings.runtime):
        raise InvalidInput(f"EMBEDDER_RUNTIME={settings.runtime} is not installed")
    if settings.runtime == "torch":
        return TorchRuntime(model, settings.threads)
    return load_exported(settings.runtime, settings, model)


def _fastest(settings: MiniLMSettings, model: Path) -> Runtime:
    fastest_first: tuple[RuntimeName, ...] = ("openvino", "onnx") if openvino_uses_bfloat16() else ("onnx", "openvino")
    for name in filter(installed, fastest_first):
        try:
            return load_exported(name, settings, model)
        except Exception as error:  # noqa: BLE001  # whatever it is, PyTorch still works
            log.warning("embedder_runtime_unusable", runtime=name, error=f"{type(error).__name__}: {error}")
    return TorchRuntime(model, settings.threads)


def load_exported(name: RuntimeName, settings: MiniLMSettings, model: Path) -> Runtime:
    """Load the exported model and compare its vectors with PyTorch's.

    Raises:
        CorruptData: the vectors differ.
    """
    export = _exported(settings, model)
    load = openvino_network if name == "openvino" else onnx_network
    runtime = ExportedRuntime(name=name, tokenizer=MiniLMTokenizer(model), network=load(export.model, settings.threads))
    cosine = least_cosine(runtime, export)
    if not cosine >= (LEAST_COSINE_INT8 if settings.precision == "int8" else LEAST_COSINE):  # NaN is refused, too
        raise CorruptData(f"The vectors of {name} differ from PyTorch's: the least cosine is {cosine:.6f}")
    return runtime


def least_cosine(runtime: Runtime, export: Export) -> float:
    """Return the least similarity of the runtime's vectors of `PROBE` to PyTorch's."""
    batches = [PROBE[start : start + _PROBE_BATCH] for start in range(0, len(PROBE), _PROBE_BATCH)]
    vectors = np.concatenate([runtime.encode(batch) for batch in batches])
    return float((vectors * export.expected_vectors()).sum(axis=1).min())


def _exported(settings: MiniLMSettings, model: Path) -> Export:
    """Return the export. If it is missing, another process makes it, so that this one needs no memory for PyTorch."""
    found = find_export(model, settings.cache, settings.precision)
    if found.folder.exists():
        return found
    log.info("embedder_export_started", folder=str(found.folder))
    chosen = {"MINILM_PATH": model, "MINILM_CACHE": settings.cache, "EMBEDDER_RUNTIME": settings.runtime}
    done = subprocess.run(  # noqa: S603  # fixed arguments
        [sys.executable, "-m", export.__name__],
        cwd=_ROOT,
        env=os.environ | {name: str(value) for name, value in chosen.items()},
        capture_output=True,
        text=True,
        check=False,
        timeout=EXPORT_DEADLINE_S,
    )
    if done.returncode != 0:
        raise CorruptData(f"MiniLM cannot be exported: {done.stderr.strip().rpartition(chr(10))[2]}")
    return found
