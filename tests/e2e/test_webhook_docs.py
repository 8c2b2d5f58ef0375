"""The commands and the receiver of docs/webhooks.md work as printed."""

import base64
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from standardwebhooks import Webhook

from deploy.local.ports import HOST, free_port
from deploy.local.private_files import env_file
from deploy.local.settings import CHECKOUT
from tests.support.deployment import ADMIN, Deployment, Json, eventually
from tests.support.student_client import Attempt

pytestmark = pytest.mark.timeout(600)  # the first test starts everything

DOCUMENT = (CHECKOUT / "docs" / "webhooks.md").read_text(encoding="utf-8")
COMMANDS = "\n".join(re.findall(r"<!-- run -->\s*```bash\n(.*?)```", DOCUMENT, re.DOTALL))
RECEIVER = "".join(re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL))

STAYS = '\necho "$API_KEY" > api-key\n: > onboarded\nwait\n'
"""Commands that keep the receiver, a job of the shell, running until the test ends."""


@dataclass(frozen=True)
class PartnerSide:
    """The partner's directory with the receiver's inbox and the commands' output."""

    directory: Path
    url: str

    @property
    def printed(self) -> str:
        return (self.directory / "output").read_text(encoding="utf-8")

    def inbox(self) -> list[Json]:
        """Return the stored events, each with its id and `done`."""
        with closing(sqlite3.connect(self.directory / "inbox.db")) as database:
            rows = database.execute("SELECT id, body, done FROM inbox ORDER BY rowid").fetchall()
        return [json.loads(body) | {"id": event_id, "done": done == 1} for event_id, body, done in rows]


@pytest.fixture(scope="module")
def partner(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[PartnerSide]:
    """Run all commands of the document. The receiver continues to run."""
    directory, port = tmp_path_factory.mktemp("partner"), free_port()
    (directory / "receiver.py").write_text(RECEIVER, encoding="utf-8")
    (directory / ".local").mkdir()
    known = {name: deployment.environment[name] for name in ("API_URL", "ADMIN_EMAIL", "ADMIN_PASSWORD")}
    (directory / ".local" / "stack.env").write_text(env_file(known), encoding="utf-8")
    environment = {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), deployment.environment["PATH"]]),
        "HOME": str(directory),
        "PORT": str(port),
    }
    with (directory / "output").open("wb") as output:
        shell = subprocess.Popen(
            ["/bin/bash", "-euo", "pipefail", "-c", COMMANDS + STAYS],
            cwd=directory,
            env=environment,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    side = PartnerSide(directory, f"http://{HOST}:{port}/hooks")
    try:
        eventually(lambda: (directory / "onboarded").exists() or shell.poll() is not None)
        assert shell.poll() is None, side.printed
        yield side
    finally:
        os.killpg(shell.pid, signal.SIGTERM)
        shell.wait()
        admin = deployment.log_in(ADMIN)
        for endpoint in admin.get("/webhooks/endpoints").json()["items"]:
            admin.delete(f"/webhooks/endpoints/{endpoint['endpoint_id']}")


def test_the_commands_work_as_printed(partner: PartnerSide) -> None:
    assert "error_code" not in partner.printed
    assert '"attempt_log"' in partner.printed


def test_a_test_event_that_was_sent_twice_is_kept_once(partner: PartnerSide, deployment: Deployment) -> None:
    def sent() -> list[tuple[str, int, str]]:
        return deployment.rows(
            "SELECT event_id::text, n, d.status FROM webhook_deliveries d JOIN webhook_events e ON e.id = event_id"
            " WHERE event_type = 'webhook.test' ORDER BY n"
        )

    eventually(lambda: [status for *_, status in sent()] == ["delivered", "delivered"])

    kept = [event["id"] for event in partner.inbox() if event["type"] == "webhook.test"]
    assert kept == [sent()[0][0]]


def test_a_result_arrives_signed_once_and_is_worked_on(
    partner: PartnerSide, deployment: Deployment, student: httpx.Client
) -> None:
    attempt = Attempt.start(student, "project-coordinator")
    attempt.submit()
    attempt.result()

    def arrived() -> list[Json]:
        return [event for event in partner.inbox() if event["data"].get("assessment_id") == attempt.id]

    eventually(lambda: any(event["done"] for event in arrived()))
    eventually(
        lambda: deployment.rows(
            "SELECT 1 FROM webhook_events WHERE status = 'delivered' AND assessment_id = %s", attempt.id
        )
    )
    (event,) = arrived()
    assert (event["type"], event["data"]["status"], event["version"]) == ("assessment.completed", "completed", 1)
    assert student.get(event["data"]["links"]["result"].removeprefix("/api/v1")).json()["revision"] == 1


def test_the_api_key_of_the_document_reads_results_and_no_accounts(
    partner: PartnerSide, deployment: Deployment
) -> None:
    key = (partner.directory / "api-key").read_text(encoding="utf-8").strip()
    api, headers = deployment.environment["API_URL"], {"Authorization": f"Bearer {key}"}

    answers = [
        httpx.get(f"{api}/api/v1{path}", headers=headers, trust_env=False) for path in ("/assessments", "/users")
    ]

    assert [answer.status_code for answer in answers] == [200, 403]


def test_the_receiver_refuses_what_is_not_signed(partner: PartnerSide) -> None:
    forged = b'{"type": "forged", "data": {}}'
    headers = {"webhook-id": "forged", "webhook-timestamp": "1", "webhook-signature": "v1,AAAA"}

    answers = [httpx.post(partner.url, content=forged, headers=each, trust_env=False) for each in ({}, headers)]

    assert [answer.status_code for answer in answers] == [401, 401]
    assert "forged" not in {event["type"] for event in partner.inbox()}


@dataclass(frozen=True)
class Receiver:
    """The document's receiver, without the sending service."""

    directory: Path
    url: str
    webhook: Webhook

    def post(self, event_id: str, body: bytes) -> int:
        """Send a body with a valid signature."""
        at = datetime.now(UTC)
        signature = self.webhook.sign(event_id, at, body.decode())
        headers = {
            "webhook-id": event_id,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": signature,
        }
        return httpx.post(self.url, content=body, headers=headers, trust_env=False).status_code

    def states(self) -> dict[str, int]:
        """Return `done` by event."""
        with closing(sqlite3.connect(self.directory / "inbox.db")) as database:
            return dict(database.execute("SELECT id, done FROM inbox").fetchall())


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    (tmp_path / "receiver.py").write_text(RECEIVER, encoding="utf-8")
    secret, port = f"whsec_{base64.b64encode(bytes(24)).decode()}", free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "receiver:app", "--port", str(port), "--log-level", "warning"],
        cwd=tmp_path,
        env={"WEBHOOK_SECRET": secret, "PATH": os.environ["PATH"]},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    receiver = Receiver(tmp_path, f"http://{HOST}:{port}/hooks", Webhook(secret))
    try:
        eventually(lambda: _answers(receiver.url))
        yield receiver
    finally:
        process.terminate()
        process.wait()


def _answers(url: str) -> bool:
    try:
        return httpx.post(url, trust_env=False).status_code == 401
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(
    "body",
    [b"not JSON", b"", b"[]", b"null", b"{}", b'{"type": "assessment.completed"}', b"[" * 100_000],
    ids=["text", "empty", "list", "null", "no fields", "no data", "deep"],
)
def test_the_receiver_survives_a_signed_body_that_it_cannot_handle(receiver: Receiver, body: bytes) -> None:
    stored = receiver.post("unusual", body)
    good = receiver.post("good", b'{"type": "webhook.test", "data": {}}')

    assert (stored, good) == (204, 204)
    eventually(lambda: receiver.states() == {"unusual": -1, "good": 1})
