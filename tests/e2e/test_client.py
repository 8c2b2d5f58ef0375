"""The client generated from the OpenAPI document is typed and works as docs/client.md shows."""

import re
import subprocess
from pathlib import Path

import pytest

from api.export_openapi import rendered
from deploy.local.settings import CHECKOUT
from tests.support.deployment import PASSWORD, STUDENT, Deployment

pytestmark = pytest.mark.timeout(600)

BIN = CHECKOUT / ".local" / "client-venv" / "bin"
RUN = re.compile(r"<!-- run -->\s*```python\n(.*?)```", re.DOTALL)


def run(*command: str, cwd: Path, **environment: str) -> str:
    """Run a command with the tools of the client's environment first in its path, and return its output."""
    environment = {"PATH": f"{BIN}:/usr/bin:/bin", "HOME": str(cwd), "NO_COLOR": "1"} | environment
    ran = subprocess.run(
        [str(BIN / command[0]), *command[1:]], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Yield a directory with the client and the documented program, and the generator's output."""
    if not (BIN / "openapi-python-client").exists():
        pytest.skip("NOT TESTED: the typed client, because its generator is not there; `make client` obtains it")
    directory = tmp_path_factory.mktemp("client")
    (directory / "openapi.yaml").write_text(rendered(), encoding="utf-8")
    (program,) = RUN.findall((CHECKOUT / "docs" / "client.md").read_text(encoding="utf-8"))
    (directory / "program.py").write_text(program, encoding="utf-8")
    config = ("--config", str(Path(__file__).with_name("client-generator.yaml")))
    arguments = ("--path", "openapi.yaml", "--meta", "none", "--output-path", "microcred_client", *config)
    return directory, run("openapi-python-client", "generate", *arguments, cwd=directory)


def test_the_generator_gives_no_warning(generated: tuple[Path, str]) -> None:
    assert generated[1].strip() == "Generating microcred_client"


def test_the_client_and_its_use_are_typed(generated: tuple[Path, str]) -> None:
    run("mypy", "--strict", "microcred_client", "program.py", cwd=generated[0])


def test_the_documented_program_ends_with_a_result(generated: tuple[Path, str], deployment: Deployment) -> None:
    account = {"STUDENT_EMAIL": STUDENT, "STUDENT_PASSWORD": PASSWORD}
    said = run("python", "program.py", cwd=generated[0], API_URL=deployment.api_url, **account)
    assert said.startswith("1. ")
