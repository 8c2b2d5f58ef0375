"""The programs that can run MiniLM: PyTorch, ONNX Runtime and OpenVINO."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from activities.adapters.minilm.tokens import Integers, MiniLMTokenizer

RuntimeName: TypeAlias = Literal["torch", "onnx", "openvino", "onnx-int8"]
Vectors: TypeAlias = NDArray[np.float32]
Network: TypeAlias = Callable[[Integers, Integers], Vectors]
"""A function from word pieces and mask to one vector per word piece."""

INPUTS: Final = ["input_ids", "attention_mask"]
OUTPUT: Final = "last_hidden_state"

_PACKAGES: Final[Mapping[RuntimeName, str]] = {
    "torch": "torch",
    "onnx": "onnxruntime",
    "onnx-int8": "onnxruntime",
    "openvino": "openvino",
}


def installed(runtime: RuntimeName) -> bool:
    return find_spec(_PACKAGES[runtime]) is not None


class Runtime(Protocol):
    """Runs the model."""

    @property
    def name(self) -> RuntimeName: ...

    @property
    def tokenizer(self) -> MiniLMTokenizer: ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text, of its first 256 word pieces, from one forward pass."""
        ...


class TorchRuntime:
    """The model as sentence-transformers runs it. The import takes seconds and 700 MB."""

    name: RuntimeName = "torch"

    def __init__(self, folder: Path, threads: int) -> None:
        os.environ["HF_HUB_OFFLINE"] = "1"  # read when the libraries are imported
        import torch  # noqa: PLC0415
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415
        from transformers.utils.logging import disable_progress_bar  # noqa: PLC0415

        torch.set_num_threads(threads)
        disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers has no types for it
        self.tokenizer = MiniLMTokenizer(folder)
        self.model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)

    def encode(self, texts: Sequence[str]) -> Vectors:
        vectors = self.model.encode(
            list(texts), batch_size=len(texts), show_progress_bar=False, normalize_embeddings=True
        )
        return np.asarray(vectors, dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedRuntime:
    """The exported model. Tokenization and pooling are those of sentence-transformers."""

    name: RuntimeName
    tokenizer: MiniLMTokenizer
    network: Network

    def encode(self, texts: Sequence[str]) -> Vectors:
        pieces, mask = self.tokenizer.batch(texts)
        return unit_means(self.network(pieces, mask), mask)


def unit_means(vectors: Vectors, mask: Integers) -> Vectors:
    """Return each text's mean over its word pieces, with length one."""
    means = np.einsum("tpd,tp->td", vectors, mask.astype(np.float32)) / mask.sum(axis=1, keepdims=True)
    return np.asarray(means / np.linalg.norm(means, axis=1, keepdims=True), dtype=np.float32)


def onnx_network(path: Path, threads: int) -> Network:
    """Load an exported model into ONNX Runtime."""
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def run(pieces: Integers, mask: Integers) -> Vectors:
        (vectors,) = session.run([OUTPUT], dict(zip(INPUTS, (pieces, mask), strict=True)))
        return np.asarray(vectors, dtype=np.float32)

    return run


def import_onnxruntime() -> Any:  # noqa: ANN401  # a module without types
    """Import ONNX Runtime without its telemetry, which by default reports usage to its vendor."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # read when the library is imported
    import onnxruntime  # noqa: PLC0415

    return onnxruntime


def openvino_network(path: Path, threads: int) -> Network:
    """Load an exported model into OpenVINO, which computes in bfloat16 on a CPU that supports it."""
    import openvino  # noqa: PLC0415

    options = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
    request = openvino.Core().compile_model(str(path), "CPU", options).create_infer_request()

    def run(pieces: Integers, mask: Integers) -> Vectors:
        results = request.infer(dict(zip(INPUTS, (pieces, mask), strict=True)))
        return np.asarray(results[OUTPUT], dtype=np.float32)

    return run


def openvino_uses_bfloat16() -> bool:
    """Return whether OpenVINO is installed and computes in bfloat16 on this CPU, which halves the time."""
    if not installed("openvino"):
        return False
    import openvino  # noqa: PLC0415

    return "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
