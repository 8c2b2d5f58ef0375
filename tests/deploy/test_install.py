"""The torch that `deploy/local/install.sh` installs. A stub of Python records its commands."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.local.settings import CHECKOUT

CPU_INDEX = "https://download.pytorch.org/whl/cpu"
EVERYTHING = "-e .[local,dev]"
WITHOUT_DEPENDENCIES = "--no-deps -r constraints.txt -e ."
STUB = """#!/bin/sh
case "$*" in
  *urlopen*) echo probe >> calls; exit $INDEX_ANSWERS ;;
  *MiniLMEmbedder*) echo embed >> calls; test "$(grep -c embed calls)" -ge "$EMBEDS_AT" ;;
  *requires*) echo "cuda-toolkit[cublas]==13 nvidia-cudnn-cu13==9" ;;
  *"pip install"*) echo "$*" | sed 's/.*-c constraints.txt //' >> calls ;;
esac
"""
"""`INDEX_ANSWERS` is the exit code of the probe of the index. Embedding succeeds at the attempt `EMBEDS_AT`."""
SCRIPT = CHECKOUT / "deploy" / "local" / "install.sh"


@pytest.fixture
def install_calls(tmp_path: Path) -> "Install":
    return Install(tmp_path)


class Install:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        for name, text in {".venv/bin/python": STUB, "bin/uname": "#!/bin/sh\necho $SYSTEM\n"}.items():
            (directory / name).parent.mkdir(parents=True)
            (directory / name).write_text(text)
            (directory / name).chmod(0o755)

    def __call__(
        self, *, index_answers: bool = False, embeds_at: int = 1, system: str = "Linux", torch: str = ""
    ) -> list[str]:
        """Run the script and return its commands of Python, in order."""
        environment = {
            "PATH": f"{self._directory / 'bin'}:{os.environ['PATH']}",
            "PYTHON": "unused",
            "GOAL": "install",
            "TORCH_INDEX": torch,
            "SYSTEM": system,
            "INDEX_ANSWERS": "0" if index_answers else "1",
            "EMBEDS_AT": str(embeds_at),
        }
        subprocess.run(
            ["/bin/bash", str(SCRIPT)], cwd=self._directory, env=environment, capture_output=True, check=True
        )
        return (self._directory / "calls").read_text().splitlines()


def test_a_given_index_is_used_without_a_look_at_another(install_calls: Install) -> None:
    calls = install_calls(torch="https://mirror.example/cpu", index_answers=True)

    assert calls == ["--no-deps --index-url https://mirror.example/cpu torch", EVERYTHING]


def test_the_index_of_cpu_builds_is_used_where_it_answers(install_calls: Install) -> None:
    calls = install_calls(index_answers=True)

    assert calls == ["probe", f"--no-deps --index-url {CPU_INDEX} torch", EVERYTHING]


def test_without_that_index_torch_is_installed_without_cuda_where_it_embeds(install_calls: Install) -> None:
    calls = install_calls(embeds_at=1)

    assert calls == ["probe", WITHOUT_DEPENDENCIES, "embed"]


def test_a_torch_that_needs_cuda_libraries_gets_these_and_no_compiler(install_calls: Install) -> None:
    calls = install_calls(embeds_at=2)

    assert calls == ["probe", WITHOUT_DEPENDENCIES, "embed", "cuda-toolkit[cublas]==13 nvidia-cudnn-cu13==9", "embed"]


def test_a_torch_that_needs_more_gets_everything_that_it_requires(install_calls: Install) -> None:
    assert install_calls(embeds_at=3)[-2:] == ["embed", EVERYTHING]


def test_a_system_whose_default_torch_is_a_cpu_build_installs_it(install_calls: Install) -> None:
    assert install_calls(system="Darwin") == [EVERYTHING]


@pytest.mark.parametrize(("before", "succeeds"), [("", True), ("import sys; sys.modules['torch'] = None\n", False)])
def test_the_probe_embeds_with_the_installed_torch(before: str, *, succeeds: bool) -> None:
    """Also where another runtime could embed, with a model that an earlier installation exported."""
    (probe,) = re.findall(
        r"^embeds\(\) \{\n    \"\$python\" -c '([^']+)'", SCRIPT.read_text(encoding="utf-8"), re.MULTILINE
    )
    command = [sys.executable, "-c", before + probe]

    ran = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)

    assert (ran.returncode == 0) is succeeds, ran.stderr


def test_constraints_name_no_package_of_cuda() -> None:
    names = (CHECKOUT / "constraints.txt").read_text(encoding="utf-8").splitlines()

    assert [name for name in names if name.startswith(("nvidia", "cuda", "triton"))] == []
