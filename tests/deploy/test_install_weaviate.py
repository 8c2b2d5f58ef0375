"""Extracting Weaviate's program from a release's archive."""

import hashlib
import io
import os
import tarfile
from pathlib import Path

import pytest

from deploy.local.install_weaviate import CannotInstallError, unpacked

PROGRAM = b"#!/bin/sh\n"


def an_archive(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_the_program_is_put_in_its_place_executable(tmp_path: Path) -> None:
    archive = an_archive(LICENSE=b"", weaviate=PROGRAM)

    program = unpacked(archive, sha256(archive), tmp_path)

    assert program == tmp_path / "weaviate-server"
    assert program.read_bytes() == PROGRAM
    assert os.access(program, os.X_OK)


def test_an_archive_that_is_not_the_published_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CannotInstallError, match="checksum"):
        unpacked(an_archive(weaviate=PROGRAM), sha256(b"another"), tmp_path)

    assert list(tmp_path.iterdir()) == []


def test_an_archive_without_the_program_is_refused(tmp_path: Path) -> None:
    archive = an_archive(README=b"")

    with pytest.raises(CannotInstallError, match="does not contain"):
        unpacked(archive, sha256(archive), tmp_path)
