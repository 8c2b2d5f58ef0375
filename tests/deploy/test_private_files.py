import stat
import subprocess
from pathlib import Path

from deploy.local.private_files import env_file, stored_secrets, write


def test_only_the_owner_can_read_what_is_written(tmp_path: Path) -> None:
    write(tmp_path / "stack.env", "A=1\n")

    assert stat.S_IMODE((tmp_path / "stack.env").stat().st_mode) == 0o600


def test_writing_replaces_the_file_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    for text in ("A=1\n", "A=2\n"):
        write(tmp_path / "stack.env", text)

    assert [path.read_text() for path in tmp_path.iterdir()] == ["A=2\n"]


def test_a_secret_is_made_once(tmp_path: Path) -> None:
    first = stored_secrets(tmp_path / "secrets.json", ["JWT_SECRET"])

    assert stored_secrets(tmp_path / "secrets.json", ["JWT_SECRET"]) == first


def test_a_new_secret_leaves_the_kept_ones(tmp_path: Path) -> None:
    first = stored_secrets(tmp_path / "secrets.json", ["JWT_SECRET"])

    both = stored_secrets(tmp_path / "secrets.json", ["JWT_SECRET", "STUDENT_PASSWORD"])

    assert both["JWT_SECRET"] == first["JWT_SECRET"]
    assert both["STUDENT_PASSWORD"] != both["JWT_SECRET"]


def test_a_shell_reads_the_values_as_they_were(tmp_path: Path) -> None:
    url = "postgresql://u:p'w@db.example/x?sslmode=require&application_name=a b"
    (tmp_path / "stack.env").write_text(env_file({"DATABASE_URL": url, "TEMPORAL_UI_URL": ""}))

    script = '. ./stack.env; printf "%s|%s" "$DATABASE_URL" "$TEMPORAL_UI_URL"'
    read = subprocess.run(["/bin/sh", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)

    assert read.stdout == f"{url}|"
