"""ONNX Runtime and OpenVINO make PyTorch's vectors, and PyTorch replaces them where they do not."""

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from structlog.testing import capture_logs

from activities.adapters.minilm import loading, runtimes
from activities.adapters.minilm.embedder import MiniLMEmbedder, MiniLMSettings
from activities.adapters.minilm.export import Export, find_export
from activities.adapters.minilm.loading import load_exported, load_runtime
from activities.adapters.minilm.runtimes import Runtime, RuntimeName, TorchRuntime, Vectors
from activities.adapters.minilm.tokens import MiniLMTokenizer
from deploy.local.settings import CHECKOUT
from domain.errors import CorruptData, InvalidInput
from tests.support.runtimes import skip_unless_installed

pytestmark = pytest.mark.timeout(600)  # the first test may export the model

WORDS: Final = (
    *(
        "a",
        "query",
        "plan",
        "NULL",
        "Größe",
        "naïve",
        "данные",
        "ελληνικά",
        "数据",
        "清洗",
        "データ",
        "🙂",
        "👩\u200d💻",
    ),
    *("don't", "re-run", "3.14", "%", "SELECT", "*", "FROM", "internationalization", "x²", "[SEP]", "[MASK]", "<b>"),
    *("\u200b", "\xa0", "…", "—", "“quoted”", "e.g.", "İstanbul", "ﬁ", "łódź", "हिन्दी", "עברית", "العربية"),
)
BREAKS: Final = (" ", " ", " ", ". ", "\n", "\t", "  ", "")


def varied_texts() -> list[str]:
    """Return 300 texts by length: from empty to longer than the model reads, in many scripts."""
    choose = random.Random(7)
    lengths = [0, 1, 2, *(choose.randint(1, 20) for _ in range(289)), *(choose.randint(120, 300) for _ in range(8))]
    texts = ["".join(choose.choice(WORDS) + choose.choice(BREAKS) for _ in range(length)) for length in lengths]
    return sorted(texts, key=len)


@pytest.fixture(scope="module")
def model() -> Path:
    path = MiniLMSettings().path
    assert path is not None
    return path


@pytest.fixture(scope="module")
def torch(model: Path) -> TorchRuntime:
    return TorchRuntime(model, threads=1)


@pytest.fixture
def broken_cache(model: Path, tmp_path: Path) -> Callable[[Callable[[Export], object]], Path]:
    """A function that returns a copy of the cache after it has damaged the export."""
    skip_unless_installed("onnx")
    load_runtime(MiniLMSettings(runtime="onnx"))  # exports the model, unless it is exported

    def make(damage: Callable[[Export], object]) -> Path:
        source = find_export(model, MiniLMSettings().cache, "float32")
        copy = find_export(model, tmp_path, "float32")
        shutil.copytree(source.folder, copy.folder)
        damage(copy)
        return tmp_path

    return make


def other_vectors(export: Export) -> None:
    np.save(export.expected, np.roll(export.expected_vectors(), 1, axis=0))


def not_a_number(export: Export) -> None:
    np.save(export.expected, np.full_like(export.expected_vectors(), np.nan))


def truncated_model(export: Export) -> None:
    os.truncate(export.model, 1_000_000)


DAMAGES: Final = (other_vectors, not_a_number, truncated_model)


def test_word_pieces_are_those_of_sentence_transformers(model: Path, torch: TorchRuntime) -> None:
    tokenizer = MiniLMTokenizer(model)
    texts = varied_texts()

    batches = [tokenizer.batch([text]).pieces[0].tolist() for text in texts]
    offsets = [list(tokenizer.offsets(text)) for text in texts]

    theirs = torch.model.tokenizer
    assert batches == [theirs(text, truncation=True, max_length=256)["input_ids"] for text in texts]
    assert offsets == [
        theirs(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)["offset_mapping"]
        for text in texts
    ]


@pytest.fixture(scope="module")
def torch_vectors(torch: TorchRuntime) -> Vectors:
    return in_batches(torch, varied_texts())


def in_batches(runtime: Runtime, texts: Sequence[str]) -> Vectors:
    return np.concatenate([runtime.encode(texts[start : start + 8]) for start in range(0, len(texts), 8)])


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_vectors_of_300_texts_are_pytorchs(name: RuntimeName, torch_vectors: Vectors) -> None:
    skip_unless_installed(name)
    runtime = load_runtime(MiniLMSettings(runtime=name))

    vectors = in_batches(runtime, varied_texts())

    assert vectors.shape == (300, 384)
    assert (vectors * torch_vectors).sum(axis=1).min() >= loading.LEAST_COSINE


@pytest.mark.parametrize("damage", DAMAGES)
def test_an_export_that_does_not_make_pytorchs_vectors_is_replaced_by_pytorch(
    damage: Callable[[Export], object],
    broken_cache: Callable[[Callable[[Export], object]], Path],
    monkeypatch: pytest.MonkeyPatch,
    torch: TorchRuntime,
) -> None:
    cache = broken_cache(damage)
    monkeypatch.setattr(loading, "TorchRuntime", lambda *_: torch)

    with capture_logs() as logs:
        runtime = load_runtime(MiniLMSettings(cache=cache))

    assert runtime is torch
    assert "embedder_runtime_unusable" in [line["event"] for line in logs]


@pytest.mark.parametrize("damage", DAMAGES[:2])
def test_a_runtime_chosen_by_name_with_other_vectors_is_refused(
    damage: Callable[[Export], object], broken_cache: Callable[[Callable[[Export], object]], Path]
) -> None:
    cache = broken_cache(damage)

    with pytest.raises(CorruptData, match="differ from PyTorch's"):
        load_runtime(MiniLMSettings(cache=cache, runtime="onnx"))


def test_a_runtime_chosen_by_name_must_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtimes, "find_spec", lambda _: None)

    with pytest.raises(InvalidInput, match="EMBEDDER_RUNTIME=openvino"):
        load_runtime(MiniLMSettings(runtime="openvino"))


@pytest.mark.parametrize(("bfloat16", "first"), [(True, "openvino"), (False, "onnx")])
def test_openvino_is_preferred_where_it_computes_in_bfloat16(
    bfloat16: bool,  # noqa: FBT001  # a parameter of the test
    first: RuntimeName,
    monkeypatch: pytest.MonkeyPatch,
    torch: TorchRuntime,
) -> None:
    tried: list[RuntimeName] = []

    def load(name: RuntimeName, *_: object) -> Runtime:
        tried.append(name)
        return torch

    monkeypatch.setattr(loading, "installed", lambda _: True)
    monkeypatch.setattr(loading, "openvino_uses_bfloat16", lambda: bfloat16)
    monkeypatch.setattr(loading, "load_exported", load)

    load_runtime(MiniLMSettings())

    assert tried == [first]


def test_without_another_runtime_pytorch_runs_the_model(monkeypatch: pytest.MonkeyPatch, torch: TorchRuntime) -> None:
    monkeypatch.setattr(runtimes, "find_spec", lambda _: None)
    monkeypatch.setattr(loading, "TorchRuntime", lambda *_: torch)

    assert load_runtime(MiniLMSettings()) is torch


def test_a_model_that_cannot_be_exported_is_refused_with_the_reason(model: Path, tmp_path: Path) -> None:
    skip_unless_installed("onnx")
    file = tmp_path / "file"
    file.touch()

    with pytest.raises(CorruptData, match=r"cannot be exported: .*file"):
        load_exported("onnx", MiniLMSettings(cache=file / "cache", runtime="onnx"), model)


def test_vectors_of_8_bit_weights_count_as_another_models() -> None:
    models = [MiniLMEmbedder(MiniLMSettings(runtime=name)).model for name in ("auto", "torch", "onnx", "openvino")]

    assert set(models) == {"all-MiniLM-L6-v2"}
    assert MiniLMEmbedder(MiniLMSettings(runtime="onnx-int8")).model == "all-MiniLM-L6-v2-int8"


LOADED: Final = """
import json, os, sys
from activities.adapters.minilm.embedder import MiniLMSettings
from activities.adapters.minilm.loading import load_runtime

load_runtime(MiniLMSettings()).encode(["text"])
print(json.dumps({
    "modules": sorted({"torch", "transformers", "sentence_transformers", "openvino_telemetry"} & sys.modules.keys()),
    "onnxruntime_telemetry_off": os.environ.get("ORT_DISABLE_TELEMETRY"),
}))
"""


@pytest.mark.parametrize(("name", "off"), [("onnx", "1"), ("openvino", None)])
def test_an_exported_model_runs_without_pytorch_and_without_telemetry(
    name: RuntimeName, off: str | None, tmp_path: Path
) -> None:
    skip_unless_installed(name)
    load_runtime(MiniLMSettings(runtime=name))  # exports the model, unless it is exported
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "EMBEDDER_RUNTIME": name}

    ran = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=True
    )

    assert json.loads(ran.stdout.splitlines()[-1]) == {"modules": [], "onnxruntime_telemetry_off": off}
    assert list(tmp_path.rglob("*")) == []  # no id of this device
