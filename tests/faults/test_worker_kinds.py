"""One worker process per queue, as in production. Each one is killed in the middle of a step."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.process import Process
from tests.faults.injection import Gate, assert_done_once, storing_output
from tests.faults.recorder import Recorder
from tests.support import model_server
from tests.support.databases import Databases
from tests.support.deployment import ADMIN, START_TIMEOUT_S, Deployment, Server, eventually
from tests.support.model_server import ModelServer
from tests.support.student_client import ROLES, Attempt
from workflows.policies import Queue

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

STEPS = {Queue.ASSESSMENTS: "score_rules", Queue.LLM: "score_essay", Queue.EMBEDDINGS: "retrieve_evidence"}


class SplitDeployment(Deployment):
    """A deployment with one worker per queue."""

    workers: dict[Queue, Server]

    def start_worker(self) -> None:
        command = {queue: ("worker.py", "--queues", queue) for queue in Queue}
        self.workers = {queue: Server(queue, command[queue], self.environment, self.logs) for queue in Queue}
        started = [(worker.launch(), worker) for worker in self.workers.values()]
        for process, worker in started:
            wait_for(process, worker)

    def start_again(self, queue: Queue) -> None:
        wait_for(self.workers[queue].launch(), self.workers[queue])

    def stop(self) -> None:
        for worker in self.workers.values():
            worker.stop()
        super().stop()


def wait_for(process: Process, worker: Server) -> None:
    process.wait_until(lambda: "worker_ready" in worker.log.read_text(), timeout_s=START_TIMEOUT_S)


@pytest.fixture
def partner() -> Iterator[Recorder]:
    with Recorder() as partner:
        yield partner


@pytest.fixture
def split_deployment(seeded_template: tuple[Databases, str], tmp_path: Path) -> Iterator[SplitDeployment]:
    databases, name = seeded_template
    with ModelServer() as provider, databases.new("kinds", name) as url:
        environment = {
            "OPENAI_API_KEY": model_server.KEY,
            "OPENAI_BASE_URL": provider.base_url,
            "OPENAI_TIMEOUT_S": "4",  # a killed call's reservation lasts a little longer
        }
        with SplitDeployment(tmp_path, url, environment) as split_deployment:
            yield split_deployment


def test_a_worker_of_each_queue_killed_during_a_step_loses_no_work(
    split_deployment: SplitDeployment, partner: Recorder
) -> None:
    student = split_deployment.log_in()
    attempts = []
    for (queue, step), role in zip(STEPS.items(), ROLES, strict=False):
        attempts.append(Attempt.start(student, role))
        with Gate(split_deployment, storing_output(step)) as gate:
            attempts[-1].submit()
            gate.wait_for_waiters()
            split_deployment.workers[queue].kill()
        split_deployment.start_again(queue)
    results = [attempt.result() for attempt in attempts]
    wanted = {"url": partner.url, "event_types": ["assessment.completed"]}
    split_deployment.log_in(ADMIN).post("/webhooks/endpoints", json=wanted).raise_for_status()
    partner.held.clear()
    attempts.append(Attempt.start(student, ROLES[len(STEPS)]))
    attempts[-1].submit()
    eventually(lambda: partner.requests)
    split_deployment.workers[Queue.WEBHOOKS].kill()
    partner.held.set()
    split_deployment.start_again(Queue.WEBHOOKS)

    eventually(lambda: split_deployment.rows("SELECT FROM webhook_deliveries WHERE status = 'delivered'"))
    assert [result["degraded"] for result in results] == [False] * len(STEPS)
    assert len({headers["webhook-id"] for headers, _ in partner.requests}) == 1
    assert_done_once(split_deployment, attempts)
