"""Every event reaches its partner at least once, with its id and its bytes, also if a process is killed."""

import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from standardwebhooks import Webhook

from deploy.local.ports import free_port
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.process import Startable
from deploy.local.temporal import NAMESPACE, TemporalDevServer
from persistence.repositories.events import delivery_row
from tests.faults.recorder import Recorder
from tests.support.databases import Databases
from tests.support.deployment import START_TIMEOUT_S, Server, eventually, kill, libpq, stack_environment, stored
from tests.support.partners import CIPHER, a_secret

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

MARKER = "xylophone-quartz-7319"
"""A marker in every body, so that any stored part of a body can be found."""
SECRET = a_secret()


@dataclass
class Deliveries(Startable):
    """Temporal and a worker without models on a database, and the webhook endpoint of one organization."""

    directory: Path
    database_url: str
    partner: Recorder = field(default_factory=Recorder)
    events: list[UUID] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.logs = self.directory / "logs"
        self.temporal_file = self.directory / "temporal" / "runs.db"
        self.temporal = TemporalDevServer(self.temporal_file, free_port(), None, log=self.logs / "temporal.log")
        environment = stack_environment(self.database_url) | {
            "TEMPORAL_ADDRESS": self.temporal.address,
            "TEMPORAL_NAMESPACE": NAMESPACE,
            "WEBHOOK_ALLOW_LOOPBACK": "true",
            "WORKER_RECONCILE_EVERY_S": "2",
        }
        command = ("worker.py", "--queues", "assessments,webhooks")
        self.worker = Server("worker", command, environment, self.logs)
        self.organization_id, self.endpoint_id = uuid4(), uuid4()

    def start(self) -> None:
        self.partner.start()
        self.temporal.start()
        self._run("INSERT INTO organizations (id, name) VALUES (%s, 'Partner')", self.organization_id)
        self._run(
            "INSERT INTO webhook_endpoints (id, organization_id, url, event_types, secret)"
            " VALUES (%s, %s, %s, '{assessment.completed}', %s)",
            *(self.endpoint_id, self.organization_id, self.partner.url, CIPHER.encrypt(SECRET)),
        )
        self.start_worker()

    def stop(self) -> None:
        for part in (self.partner, self.worker, self.temporal):
            part.stop()

    def start_worker(self) -> None:
        process, log = self.worker.launch(), self.worker.log
        process.wait_until(lambda: "worker_ready" in log.read_text(), timeout_s=START_TIMEOUT_S)

    def publish(self, *codes: int) -> UUID:
        """Insert an event whose dispatch was lost; reconciliation finds it. The partner first responds with `codes`."""
        event_id = uuid4()
        self.partner.codes[str(event_id)] = list(codes)
        row = delivery_row(self.organization_id, event_id, self.endpoint_id)
        with self._connection() as connection:
            connection.execute(
                "INSERT INTO webhook_events (id, organization_id, event_type, payload, body, status)"
                " VALUES (%s, %s, 'assessment.completed', '{}', %s, 'pending')",
                [event_id, self.organization_id, f'{{"id": "{event_id}", "text": "{MARKER} ü"}}'.encode()],
            )
            connection.execute(
                "INSERT INTO webhook_deliveries (id, organization_id, event_id, endpoint_id, n, status, created_at)"
                " VALUES (%(id)s, %(organization_id)s, %(event_id)s, %(endpoint_id)s, %(n)s, %(status)s, '2026-01-01')",
                row,
            )
        self.events.append(event_id)
        return event_id

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Return rows, or nothing while the server is unavailable."""
        try:
            with self._connection() as connection:
                return connection.execute(query.encode(), parameters).fetchall()
        except psycopg.OperationalError:
            return []

    def statuses(self) -> Counter[str]:
        return Counter(status for (status,) in self.rows("SELECT status FROM webhook_deliveries"))

    @contextmanager
    def locked(self, table: str) -> Iterator[None]:
        """Lock the table for the block. Enter the block when another session waits for the lock.

        At the end, the waiting sessions are terminated; PostgreSQL would otherwise finish statements of dead clients.
        """
        with self._connection() as gate, gate.transaction(force_rollback=True):
            gate.execute(SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(Identifier(table)))
            waiting = "FROM pg_locks WHERE relation = %s::regclass AND NOT granted"
            eventually(lambda: self.rows(f"SELECT {waiting}", table))
            yield
            self.rows(f"SELECT pg_terminate_backend(pid) {waiting}", table)

    def delivered(self) -> bool:
        return self.statuses() == Counter(delivered=len(self.events))

    def _run(self, statement: str, *parameters: object) -> None:
        with self._connection() as connection:
            connection.execute(statement.encode(), parameters)

    def _connection(self) -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(libpq(self.database_url))

    def assert_nothing_lost(self) -> None:
        """Check invariant W, and that no part of a body and no secret is in a log or in Temporal."""
        kept = {path.name: path.read_bytes() for path in self.logs.iterdir()}
        kept["temporal's database"] = stored(self.temporal_file)
        hidden = (MARKER, SECRET)
        assert [(name, each) for name, content in kept.items() for each in hidden if each.encode() in content] == []
        bodies = dict(self.rows("SELECT id::text, body FROM webhook_events"))
        received = {headers["webhook-id"] for headers, _ in self.partner.requests}
        assert received == set(bodies) == {str(event_id) for event_id in self.events}
        for headers, body in self.partner.requests:
            assert body == bodies[headers["webhook-id"]]
            Webhook(SECRET).verify(body, headers, json_parse=False)
        unequal = self.rows(
            "SELECT d.id FROM webhook_deliveries AS d JOIN webhook_events AS e ON e.id = event_id"
            " WHERE d.status <> e.status OR d.attempts <> e.attempts"
            " OR d.attempts <> (SELECT count(*) FROM webhook_attempts WHERE delivery_id = d.id)"
        )
        assert unequal == []


@pytest.fixture
def deliveries(seeded_template: tuple[Databases, str], tmp_path: Path) -> Iterator[Deliveries]:
    databases, _ = seeded_template
    with databases.new("webhooks") as url, Deliveries(tmp_path, url) as deliveries:
        yield deliveries


def test_a_delivery_continues_after_its_worker_was_killed_before_the_request(deliveries: Deliveries) -> None:
    event_id = deliveries.publish()
    with deliveries.locked("webhook_endpoints"):
        deliveries.worker.kill()

    deliveries.start_worker()

    eventually(deliveries.delivered)
    assert deliveries.partner.count(event_id) == 1
    deliveries.assert_nothing_lost()


def test_an_unrecorded_attempt_is_repeated_with_the_same_id_and_body(deliveries: Deliveries) -> None:
    event_id = deliveries.publish()
    with deliveries.locked("webhook_attempts"):
        assert deliveries.partner.count(event_id) == 1
        deliveries.worker.kill()

    deliveries.start_worker()

    eventually(deliveries.delivered)
    assert deliveries.partner.count(event_id) == 2
    deliveries.assert_nothing_lost()


def test_a_worker_killed_between_attempts_continues_with_the_next_attempt(deliveries: Deliveries) -> None:
    event_id = deliveries.publish(503)
    eventually(lambda: deliveries.rows("SELECT FROM webhook_deliveries WHERE attempts = 1"))
    deliveries.worker.kill()

    deliveries.start_worker()

    eventually(deliveries.delivered)
    assert deliveries.partner.count(event_id) == 2
    deliveries.assert_nothing_lost()


def test_postgres_killed_during_an_attempt_only_delays_its_record(
    deliveries: Deliveries, postgres: EmbeddedPostgres
) -> None:
    deliveries.partner.held.clear()
    event_id = deliveries.publish()
    eventually(lambda: deliveries.partner.count(event_id))
    kill(postgres.process)
    deliveries.partner.held.set()

    postgres.start()

    eventually(deliveries.delivered)
    assert deliveries.partner.count(event_id) >= 1
    deliveries.assert_nothing_lost()


def test_temporal_killed_during_an_attempt_does_not_repeat_a_recorded_delivery(deliveries: Deliveries) -> None:
    deliveries.partner.held.clear()
    event_id = deliveries.publish()
    eventually(lambda: deliveries.partner.count(event_id))
    kill(deliveries.temporal.process)
    deliveries.partner.held.set()
    eventually(deliveries.delivered)

    deliveries.temporal.start()

    later = deliveries.publish()
    eventually(deliveries.delivered)
    assert (deliveries.partner.count(event_id), deliveries.partner.count(later)) == (1, 1)
    deliveries.assert_nothing_lost()


@pytest.mark.parametrize("seed", [1, 2])
def test_no_event_is_lost_after_kills_at_random_moments(
    deliveries: Deliveries, postgres: EmbeddedPostgres, seed: int
) -> None:
    chance = random.Random(seed)
    for number in range(30):
        deliveries.publish(*([500] if number % 5 == 0 else []))
    eventually(lambda: deliveries.partner.requests)

    for victim in chance.sample(["worker", "postgres", "temporal", "worker"], 4):
        time.sleep(chance.uniform(0, 3))
        match victim:
            case "worker":
                deliveries.worker.kill()
                deliveries.start_worker()
            case "postgres":
                kill(postgres.process)
                postgres.start()
            case _:
                kill(deliveries.temporal.process)
                deliveries.temporal.start()
        deliveries.publish()

    eventually(deliveries.delivered)
    deliveries.assert_nothing_lost()
