"""docs/catalog.md works as printed: a catalogue is imported, embedded, found by meaning, and withdrawn."""

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from deploy.local.private_files import env_file
from deploy.local.settings import CHECKOUT
from tests.support.deployment import Deployment, Json, eventually

pytestmark = pytest.mark.timeout(600)  # the first test starts everything

DOCUMENT = (CHECKOUT / "docs" / "catalog.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"<!-- run -->\s*```bash\n(.*?)```", DOCUMENT, re.DOTALL)
PUBLISHED = ("API_URL", "PLATFORM_ADMIN_EMAIL", "PLATFORM_ADMIN_PASSWORD")
KEYS = ("WEAVE-1", "WEAVE-2", "WEAVE-3")


@dataclass(frozen=True)
class Followed:
    """The commands' output as JSON documents in their order, and the result of the last search."""

    printed: list[Json]
    afterwards: Json


def documents(text: str) -> list[Json]:
    decoder, found, place = json.JSONDecoder(), [], 0
    while place < len(text):
        document, place = decoder.raw_decode(text, place)
        found.append(document)
        place += len(text[place:]) - len(text[place:].lstrip())
    return found


@pytest.fixture(scope="module")
def followed(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    directory = tmp_path_factory.mktemp("partner")
    (directory / ".local").mkdir()
    known = {name: deployment.environment[name] for name in PUBLISHED}
    (directory / ".local" / "stack.env").write_text(env_file(known), encoding="utf-8")
    try:
        ran = subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", "\n".join(COMMANDS)],
            cwd=directory,
            env={name: deployment.environment[name] for name in ("PATH", "HOME")},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr + ran.stdout
        yield Followed(documents(ran.stdout), json.loads((directory / "afterwards.json").read_text(encoding="utf-8")))
    finally:
        admin = deployment.log_in(deployment.environment["PLATFORM_ADMIN_EMAIL"])
        admin.post("/catalog/imports", json={"credentials": [{"key": key, "active": False} for key in KEYS]})


def titles(found: Json) -> list[str]:
    return [item["credential"]["title"] for item in found["items"]]


def test_rows_are_reported(followed: Followed) -> None:
    table, document = followed.printed[:2]

    assert [(row["key"], row["status"]) for row in table["rows"]] == [("WEAVE-1", "added"), ("WEAVE-2", "added")]
    assert document["counts"] == {"added": 1, "changed": 0, "unchanged": 0, "withdrawn": 0}


def test_what_is_embedded_is_found_by_meaning(followed: Followed) -> None:
    found = followed.printed[2]

    assert found["degraded"] is False
    assert set(titles(found)[:2]) == {"Twill and pattern drafts", "Weaving a first scarf"}
    assert all(0.3 < item["similarity"] <= 1 for item in found["items"][:2])


def test_what_is_withdrawn_is_gone_at_once(followed: Followed) -> None:
    assert followed.printed[3]["counts"]["withdrawn"] == 1
    assert titles(followed.afterwards)[0] == "Weaving a first scarf"
    assert "Twill and pattern drafts" not in titles(followed.afterwards)


@pytest.mark.usefixtures("followed")
def test_imports_are_closed_once_they_are_embedded(deployment: Deployment) -> None:
    eventually(lambda: not deployment.rows("SELECT 1 FROM catalog_imports WHERE status IN ('queued', 'running')"))


@pytest.mark.usefixtures("followed")
def test_what_a_student_searches_for_stays_out_of_logs_and_histories(
    deployment: Deployment, student: httpx.Client
) -> None:
    found = student.get("/catalog/search", params={"q": "xylophone lessons for my anxious nephew"}).json()

    assert found["items"]
    places = [*deployment.logs.glob("*.log"), *deployment.temporal_file.parent.iterdir()]
    assert [place.name for place in places if b"anxious nephew" in place.read_bytes()] == []
