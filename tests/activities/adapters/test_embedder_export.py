"""Exports of MiniLM are complete or not there, whatever happens while they are written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import pytest

from activities.adapters.minilm import export
from activities.adapters.minilm.export import Export, export_model, find_export
from deploy.local.settings import CHECKOUT

FILES: Final = ("config.json", "model.safetensors", "sentence_bert_config.json", "tokenizer.json")
KILLED: Final = """
import os, signal, sys
from pathlib import Path
from activities.adapters.minilm import export

def write(model, target, precision):
    target.model.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

export._write = write
export.export_model(Path(sys.argv[1]), Path(sys.argv[2]), "float32")
"""


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text(name)
    return folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "cache"


@pytest.fixture(autouse=True)
def _no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_write", write)


def write(_model: Path, target: Export, _precision: str) -> None:
    target.model.write_text("whole")


def test_an_export_is_made_once(model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = export_model(model, cache, "float32")
    monkeypatch.delattr(export, "_write")

    assert export_model(model, cache, "float32") == first
    assert first.model.read_text() == "whole"
    assert list(cache.iterdir()) == [first.folder]


def test_another_user_can_read_an_export(model: Path, cache: Path) -> None:
    assert export_model(model, cache, "float32").folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", FILES)
def test_other_files_of_the_model_lead_to_another_export(name: str, model: Path, cache: Path) -> None:
    before = find_export(model, cache, "float32")
    (model / name).write_text("changed")

    assert find_export(model, cache, "float32") != before


def test_another_precision_is_another_export(model: Path, cache: Path) -> None:
    assert find_export(model, cache, "float32") != find_export(model, cache, "int8")


def test_of_two_exports_at_once_the_first_one_stays(model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_slowly(model: Path, target: Export, precision: str) -> None:
        monkeypatch.setattr(export, "_write", write)
        export_model(model, cache, "float32")
        target.model.write_text(f"late {precision}")

    monkeypatch.setattr(export, "_write", write_slowly)

    made = export_model(model, cache, "float32")

    assert made.model.read_text() == "whole"
    assert list(cache.iterdir()) == [made.folder]


def test_an_export_that_fails_leaves_nothing(model: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_model: Path, target: Export, _precision: str) -> None:
        target.model.write_text("half")
        raise MemoryError

    monkeypatch.setattr(export, "_write", fail)

    with pytest.raises(MemoryError):
        export_model(model, cache, "float32")

    assert list(cache.iterdir()) == []


def test_a_killed_export_is_not_seen_and_is_removed_later(model: Path, cache: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(model), str(cache)], cwd=CHECKOUT, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not find_export(model, cache, "float32").folder.exists()
    (abandoned,) = cache.iterdir()
    an_hour_ago = time.time() - 3_700
    os.utime(abandoned, (an_hour_ago, an_hour_ago))

    made = export_model(model, cache, "float32")

    assert made.model.read_text() == "whole"
    assert list(cache.iterdir()) == [made.folder]


def test_an_export_that_another_process_finishes_meanwhile_does_not_matter(model: Path, cache: Path) -> None:
    cache.mkdir(parents=True)
    (cache / ".partial-1").symlink_to(cache / "renamed")

    assert export_model(model, cache, "float32").model.read_text() == "whole"
