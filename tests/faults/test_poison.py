"""An answer crashes, hangs or exhausts its step: a person grades that item, and all other results are published."""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from domain.grading.scores import DegradedReason
from tests.faults.poisoned_worker import CRASH, HANG, MEMORY
from tests.support.answers import response_to
from tests.support.databases import Databases
from tests.support.deployment import CLASSMATES, STUDENT, Deployment, Server
from tests.support.student_client import ESSAY, ROLES, Attempt

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

WITHIN_S = 300.0
TERM_WITHIN_S = 20

Found = TypeVar("Found")


class Supervised(Deployment):
    """A deployment that restarts a crashed worker, as every deployment platform does."""

    def __init__(self, directory: Path, database_url: str, more: dict[str, str]) -> None:
        super().__init__(directory, database_url, more)
        self.worker = Server("worker", ("-m", "tests.faults.poisoned_worker"), self.environment, self.logs)

    def until(self, look: Callable[[], Found]) -> Found:
        """Call `look` until it returns a true value; restart the worker when it has crashed."""
        deadline = time.monotonic() + WITHIN_S
        while not (found := look()):
            assert time.monotonic() < deadline
            if self.worker.process is not None and self.worker.process.exit_code is not None:
                self.worker.launch()
            time.sleep(0.05)
        return found


@pytest.fixture
def deployment(seeded_template: tuple[Databases, str], tmp_path: Path) -> Iterator[Supervised]:
    databases, name = seeded_template
    settings = {"ESSAY_GRADER": "local", "WORKER_GRACE_S": "10"}
    with databases.new("poison", name) as url, Supervised(tmp_path, url, settings) as deployment:
        yield deployment


def hand_in(attempt: Attempt, poison: str | None = None) -> None:
    """Answer every question and submit; the first essay contains the poison."""
    essays = [question for question in attempt.questions if question["answer_format"]["kind"] == "text"]
    texts = {essays[0]["question_id"]: f"{ESSAY} {poison}"} if poison else {}
    answers = [response_to(question, texts.get(question["question_id"], ESSAY)) for question in attempt.questions]
    assert attempt.send(answers, completed=True).status_code == 202


def is_done(attempt: Attempt) -> bool:
    return attempt.http.get(f"{attempt.path}/result").status_code == 200


def reasons_of_essays(deployment: Deployment, attempt: Attempt) -> list[tuple[str, bool]]:
    """Return each essay's degraded reason and whether it has points, in the order of the questions."""
    return deployment.rows(
        "SELECT response_payload->>'degraded_reason', score IS NOT NULL FROM essay_scores"
        " JOIN assessment_question_snapshots AS item ON item.id = question_snapshot_id"
        " WHERE essay_scores.assessment_id = %s ORDER BY position",
        attempt.id,
    )


@pytest.mark.parametrize("poison", [CRASH, HANG, MEMORY])
def test_a_poisoned_essay_is_reviewed_and_all_other_results_are_published(deployment: Supervised, poison: str) -> None:
    poisoned = Attempt.start(deployment.log_in(STUDENT))
    others = [Attempt.start(deployment.log_in(email), role) for role in ROLES[:2] for email in CLASSMATES]
    hand_in(poisoned, poison)

    results_before_the_poisons = []
    for other in others:
        hand_in(other)
        deployment.until(partial(is_done, other))
        results_before_the_poisons.append(not is_done(poisoned))
    deployment.until(partial(is_done, poisoned))

    first, *rest = reasons_of_essays(deployment, poisoned)
    assert first == (DegradedReason.GRADER_FAILED, False)
    assert {graded for _, graded in rest} == {True}
    assert poisoned.result()["degraded_reasons"][-1] == DegradedReason.GRADER_FAILED
    assert results_before_the_poisons[0]
    for other in others:
        assert DegradedReason.GRADER_FAILED not in other.result()["degraded_reasons"]


def test_a_worker_stops_in_time_while_a_step_hangs(deployment: Supervised) -> None:
    attempt = Attempt.start(deployment.log_in(STUDENT))
    hand_in(attempt, HANG)
    running = "SELECT FROM async_jobs WHERE assessment_id = %s AND job_type = 'score_essay' AND status = 'running'"
    deployment.until(partial(deployment.rows, running, attempt.id))

    started = time.monotonic()
    exit_code = deployment.worker.stop()

    assert exit_code == 0
    assert time.monotonic() - started < TERM_WITHIN_S
    assert deployment.rows("SELECT sum(lost_attempts) FROM async_jobs") == [(0,)]
