"""The server that the stack and the tests start."""

from pathlib import Path

import pytest

from deploy.local.process import ProgramFailedError
from deploy.local.settings import weaviate_server
from tests.support.vector_stores import a_weaviate, skip_without_weaviate


def program(directory: Path, name: str, script: str) -> Path:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    return path


def test_a_server_that_ends_at_its_first_start_is_started_again(tmp_path: Path) -> None:
    real = weaviate_server() or skip_without_weaviate()
    once = f'[ -e "{tmp_path}/tried" ] && exec "{real}" "$@"; touch "{tmp_path}/tried"; exit 1'
    with a_weaviate(tmp_path, program(tmp_path, "once", once)) as server:
        assert server.process
        assert server.process.exit_code is None


def test_a_server_that_always_ends_is_given_up(tmp_path: Path) -> None:
    count = f'echo started >> "{tmp_path}/starts"; exit 3'
    with (
        pytest.raises(ProgramFailedError, match="exit code 3"),
        a_weaviate(tmp_path, program(tmp_path, "never", count)),
    ):
        pass
    assert (tmp_path / "starts").read_text().splitlines() == ["started"] * 3
