"""`make reset` deletes the stack's data."""

from pathlib import Path

import pytest

from deploy.local.__main__ import reset
from deploy.local.stack import AlreadyRunningError, locked


def test_data_logs_and_secrets_are_deleted(tmp_path: Path) -> None:
    local = tmp_path / "local"
    (local / "postgres" / "cluster").mkdir(parents=True)
    (local / "secrets.json").write_text("{}")

    code = reset(local)

    assert code == 0
    assert list(local.iterdir()) == []


@pytest.mark.parametrize("installed", ["bin", "client-venv", "vendor"])
def test_installed_programs_are_kept(tmp_path: Path, installed: str) -> None:
    local = tmp_path / "local"
    (local / installed).mkdir(parents=True)
    (local / installed / "program").write_text("compiled for minutes")
    (local / "logs").mkdir()

    reset(local)

    assert [each.name for each in local.iterdir()] == [installed]
    assert (local / installed / "program").read_text() == "compiled for minutes"


def test_nothing_is_deleted_while_a_stack_runs(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()

    with locked(tmp_path), pytest.raises(AlreadyRunningError):
        reset(tmp_path)

    assert (tmp_path / "logs").exists()
