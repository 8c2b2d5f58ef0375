"""Install the Weaviate server unless one is available: `python -m deploy.local.install_weaviate`.

Do nothing if WEAVIATE_URL names a server or the program exists. Otherwise build the pinned release with Go. If that
fails, download the archive of the release and verify its published checksum.
"""

import hashlib
import io
import os
import platform
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

import httpx

from deploy.local.settings import PROGRAMS, WEAVIATE_SERVER, weaviate_server
from deploy.local.stack import say

RELEASE: Final = "v1.38.11"
PACKAGE: Final = f"github.com/weaviate/weaviate/cmd/{WEAVIATE_SERVER}@{RELEASE}"
RELEASES: Final = f"https://github.com/weaviate/weaviate/releases/download/{RELEASE}"
OTHERWISE: Final = f"Install Go, put {WEAVIATE_SERVER} on PATH, or set WEAVIATE_URL."
NAMES: Final = (WEAVIATE_SERVER, "weaviate")
"""The possible names of the program in an archive."""
ARCHITECTURES: Final = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


class CannotInstallError(Exception):
    """Every way to install the server failed. The message says what to do."""


def main() -> int:
    if os.environ.get("WEAVIATE_URL"):
        say("WEAVIATE_URL is set: that server is used.")
        return 0
    try:
        program = weaviate_server() or _installed()
    except CannotInstallError as error:
        say(str(error))
        return 1
    say(f"Weaviate is {program}")
    return 0


def _installed() -> Path:
    PROGRAMS.mkdir(parents=True, exist_ok=True)
    if go := shutil.which("go"):
        say(f"Building Weaviate {RELEASE} with Go, which takes some minutes")
        built = subprocess.run([go, "install", PACKAGE], check=False, env={**os.environ, "GOBIN": str(PROGRAMS)})  # noqa: S603
        if built.returncode == 0:
            return PROGRAMS / WEAVIATE_SERVER
        say("The build failed. Trying the release's archive.")
    return _downloaded(PROGRAMS)


def _downloaded(directory: Path) -> Path:
    architecture = ARCHITECTURES.get(platform.machine().lower())
    if sys.platform != "linux" or architecture is None:
        raise CannotInstallError(f"There is no archive of Weaviate for this machine. {OTHERWISE}")
    name = f"weaviate-{RELEASE}-linux-{architecture}.tar.gz"
    say(f"Downloading {name}")
    archive = _get(f"{RELEASES}/{name}")
    expected = _get(f"{RELEASES}/{name}.sha256").decode("ascii", "replace").split()
    return unpacked(archive, expected[0] if expected else "", directory)


def unpacked(archive: bytes, sha256: str, directory: Path) -> Path:
    """Extract the program into `directory` and make it executable.

    Raises:
        CannotInstallError: the archive does not match the checksum, or does not contain the program.
    """
    if hashlib.sha256(archive).hexdigest() != sha256.lower():
        raise CannotInstallError("The archive does not match its checksum. Nothing was installed.")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            if member.isfile() and Path(member.name).name in NAMES and (content := tar.extractfile(member)):
                unfinished, program = directory / f"{WEAVIATE_SERVER}.new", directory / WEAVIATE_SERVER
                unfinished.write_bytes(content.read())
                unfinished.chmod(0o755)
                return unfinished.replace(program)
    raise CannotInstallError(f"The archive does not contain {WEAVIATE_SERVER}.")


def _get(url: str) -> bytes:
    try:
        return httpx.get(url, follow_redirects=True, timeout=120).raise_for_status().content
    except httpx.HTTPError as error:
        raise CannotInstallError(f"The download of {url} failed ({type(error).__name__}). {OTHERWISE}") from error


if __name__ == "__main__":
    sys.exit(main())
