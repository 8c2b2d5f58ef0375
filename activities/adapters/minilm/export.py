"""Export MiniLM to ONNX, for the runtimes that need no PyTorch: `python -m activities.adapters.minilm.export`.

An export is a folder in `MINILM_CACHE`. Its name is a hash of the model's files and of this module, so a change of
either leads to a new export. Nothing is downloaded.
"""

import hashlib
import os
import shutil
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import numpy as np

from activities.adapters.minilm.runtimes import INPUTS, OUTPUT, TorchRuntime, Vectors, import_onnxruntime, installed
from activities.adapters.minilm.settings import MiniLMSettings

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

Precision: TypeAlias = Literal["float32", "int8"]

PROBE: Final = (
    "",
    "SQL",
    "Describe how you would clean a table with missing and duplicate rows.",
    "Größe, naïve, Ελληνικά, данные, 数据清洗, データ, 🙂 and a\ttab.\nA second line; e-mail: a@b.example, 3.14 %.",
    "An index speeds up reads and slows down writes. " * 15,
    "A join without a condition returns every pair of rows, which is rarely what the question asks for. " * 30,
)
"""The texts on which a runtime must agree with PyTorch: in several scripts, empty, and longer than the model reads."""

_MODEL_FILES: Final = ("config.json", "model.safetensors", "sentence_bert_config.json", "tokenizer.json")
_PARTIAL: Final = ".partial-"
_ABANDONED_AFTER_S: Final = 3600
"""A partial export of this age belongs to a process that was killed."""


@dataclass(frozen=True, slots=True)
class Export:
    """The folder of an export, whether it exists or not: the model, and PyTorch's vectors of `PROBE`."""

    folder: Path

    @property
    def model(self) -> Path:
        return self.folder / "model.onnx"

    @property
    def expected(self) -> Path:
        return self.folder / "expected.npy"

    def expected_vectors(self) -> Vectors:
        return np.asarray(np.load(self.expected, allow_pickle=False), dtype=np.float32)


def find_export(model: Path, cache: Path, precision: Precision) -> Export:
    """Return where the export of the model's folder is, or will be."""
    digest = hashlib.sha256(precision.encode())
    for file in (*(model / name for name in _MODEL_FILES), Path(__file__)):
        with file.open("rb") as content:
            digest.update(hashlib.file_digest(content, "sha256").digest())
    return Export(cache / digest.hexdigest()[:32])


def export_model(model: Path, cache: Path, precision: Precision) -> Export:
    """Write the export unless it exists, and return it. Takes seconds and imports PyTorch.

    A reader sees a complete export or none: the folder is written under another name, then renamed. When two processes
    export at once, the export that is finished first stays.
    """
    export = find_export(model, cache, precision)
    if export.folder.exists():
        return export
    cache.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(cache)
    partial = Path(tempfile.mkdtemp(prefix=_PARTIAL, dir=cache))
    try:
        _write(model, Export(partial), precision)
        partial.chmod(0o755)  # mkdtemp allows its owner only, but one user builds an image and another runs it
        _move(partial, export.folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return export


def _move(partial: Path, target: Path) -> None:
    for file in partial.iterdir():
        with file.open("rb") as written:
            os.fsync(written.fileno())
    try:
        partial.rename(target)
    except OSError:
        if not target.exists():  # otherwise another process was faster
            raise


def _remove_abandoned(cache: Path) -> None:
    for folder in cache.glob(f"{_PARTIAL}*"):
        with suppress(FileNotFoundError):  # another process has just finished it
            if time.time() - folder.stat().st_mtime > _ABANDONED_AFTER_S:
                shutil.rmtree(folder, ignore_errors=True)


def _write(model: Path, export: Export, precision: Precision) -> None:
    torch = TorchRuntime(model, threads=1)
    np.save(export.expected, np.concatenate([torch.encode([text]) for text in PROBE]))
    if precision == "float32":
        _to_onnx(torch.model, export.model)
    else:
        full = export.folder / "float32.onnx"
        _to_onnx(torch.model, full)
        _quantize(full, export.model)
        full.unlink()


def _to_onnx(model: "SentenceTransformer", target: Path) -> None:
    import torch  # noqa: PLC0415  # takes seconds

    class Encoder(torch.nn.Module):
        """The network without tokenization and pooling."""

        def __init__(self, network: torch.nn.Module) -> None:
            super().__init__()
            self.network = network

        def forward(self, pieces: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
            vectors: torch.Tensor = self.network(input_ids=pieces, attention_mask=mask).last_hidden_state
            return vectors

    pieces, mask = torch.ones(2, 8, dtype=torch.long), torch.ones(2, 8, dtype=torch.long)
    mask[1, 5:] = 0
    variable = {0: "texts", 1: "pieces"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's, about code of torch and transformers
        torch.onnx.export(
            Encoder(cast(Any, model[0]).auto_model).eval(),
            (pieces, mask),
            str(target),
            input_names=INPUTS,
            output_names=[OUTPUT],
            dynamic_axes=dict.fromkeys((*INPUTS, OUTPUT), variable),
            dynamo=False,  # the other exporter needs two more packages and several times as long
        )


def _quantize(full: Path, target: Path) -> None:
    """Write the model with 8-bit weights. One scale per channel, because one per matrix makes useless vectors."""
    import_onnxruntime()
    from onnxruntime.quantization import quantize_dynamic  # noqa: PLC0415

    quantize_dynamic(full, target, per_channel=True)


def main() -> int:
    """Export the model that the settings choose, if an installed runtime reads it."""
    settings = MiniLMSettings()
    if settings.path is None or not (installed("onnx") or installed("openvino")):
        sys.stdout.write("PyTorch runs MiniLM, because no other runtime is installed.\n")
        return 0
    export = export_model(settings.path, settings.cache, settings.precision)
    sys.stdout.write(f"MiniLM is exported to {export.model}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
