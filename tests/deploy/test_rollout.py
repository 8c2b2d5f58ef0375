"""The queues that a new build must poll before its rollout."""

from deploy.temporal.rollout import POLLED
from workflows.engine.workers import WORKFLOWS
from workflows.policies import Queue


def test_a_build_gets_no_work_before_it_serves_every_queue() -> None:
    assert {(queue, "activity") for queue in Queue} | {(queue, "workflow") for queue in WORKFLOWS} == POLLED
