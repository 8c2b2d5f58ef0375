"""An analysis ends in time, whatever its text causes, and the worker continues."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from activities.adapters.text_process import ProcessAnalysis
from deploy.local.settings import CHECKOUT
from domain.errors import AnalysisFailed
from domain.grading.essay_reading import read_essay
from domain.grading.model_grading import Accepted, Call, Reply, Variant, build_request, next_call
from domain.grading.model_scores import essay_score
from domain.grading.scores import Spent
from tests.activities.adapters import hostile_functions as hostile
from tests.domain.model_grading_builders import an_essay, grading
from tests.support.processes import alive

POISON = "a" * 40 + "b"


@pytest.fixture
def analysis() -> Iterator[ProcessAnalysis]:
    """Processes with a long deadline, because the first call of a process imports the modules of its function."""
    analysis = ProcessAnalysis(deadline_s=60.0, most_bytes=1 << 29)
    yield analysis
    analysis.close()


@pytest.fixture
def hasty() -> Iterator[ProcessAnalysis]:
    analysis = ProcessAnalysis(deadline_s=1.0)
    yield analysis
    analysis.close()


async def test_the_result_of_the_function_is_returned(analysis: ProcessAnalysis) -> None:
    assert await analysis.run(hostile.length_of, "four") == 4


async def test_everything_that_graders_compute_on_a_text_can_run_there(analysis: ProcessAnalysis) -> None:
    essay = an_essay()
    first, spent = Call(0, 0, Variant.FULL), Spent(latency_ms=1, cost_cents=Decimal(0))
    replies: dict[Call, Reply] = {first: grading("Strong")}

    assert await analysis.run(read_essay, essay) == read_essay(essay)
    assert await analysis.run(next_call, essay, {}, 1) == first
    assert await analysis.run(build_request, essay, {}, first) == build_request(essay, {}, first)
    answer = await analysis.run(next_call, essay, replies, 1)
    assert isinstance(answer, Accepted)
    score = await analysis.run(essay_score, essay, answer, spent, model="m", prompt_version="p")
    assert score == essay_score(essay, answer, spent, model="m", prompt_version="p")


async def test_one_process_serves_one_call_after_the_other(analysis: ProcessAnalysis) -> None:
    assert await analysis.run(hostile.process_id) == await analysis.run(hostile.process_id)


async def test_a_function_that_holds_the_interpreter_lock_is_stopped(hasty: ProcessAnalysis) -> None:
    with pytest.raises(AnalysisFailed, match="not done after 1 s"):
        await hasty.run(hostile.backtrack, POISON)


async def test_a_crash_ends_one_call_and_no_other(analysis: ProcessAnalysis) -> None:
    crashed, length = await asyncio.gather(
        analysis.run(hostile.crash, ""), analysis.run(hostile.length_of, "four"), return_exceptions=True
    )

    assert isinstance(crashed, AnalysisFailed)
    assert length == 4


async def test_a_single_crash_is_tried_again(analysis: ProcessAnalysis, tmp_path: Path) -> None:
    assert await analysis.run(hostile.crash_once, str(tmp_path / "marker")) == "done"


async def test_children_that_were_killed_while_idle_cost_no_attempt(analysis: ProcessAnalysis) -> None:
    pids = set(await asyncio.gather(*(analysis.run(hostile.process_id_after, 0.2) for _ in range(3))))
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    await asyncio.to_thread(lambda: [gone(pid) for pid in pids])
    await asyncio.sleep(0.1)

    with capture_logs() as logs:
        assert await analysis.run(hostile.length_of, "four") == 4

    assert len(pids) == 3
    assert logs == []


async def test_memory_is_limited(analysis: ProcessAnalysis) -> None:
    with pytest.raises(AnalysisFailed, match="out of memory"):
        await analysis.run(hostile.take_memory, 1 << 30)


async def test_an_exception_is_reported_without_its_text(analysis: ProcessAnalysis) -> None:
    with capture_logs() as logs, pytest.raises(AnalysisFailed) as raised:
        await analysis.run(hostile.fail, "a sentence of the essay")

    assert "sentence" not in str(raised.value) + str(logs)
    assert [entry["error"] for entry in logs] == ["ValueError"]


async def test_later_calls_succeed_after_every_kind_of_failure(analysis: ProcessAnalysis) -> None:
    for call in (analysis.run(hostile.crash, ""), analysis.run(hostile.take_memory, 1 << 30)):
        with pytest.raises(AnalysisFailed):
            await call

    assert await analysis.run(hostile.length_of, "four") == 4


async def test_output_printed_by_a_function_is_not_a_reply(analysis: ProcessAnalysis) -> None:
    assert await analysis.run(hostile.write_to_stdout, "printed") == "printed"


async def test_more_calls_than_processes_wait_for_their_turn(analysis: ProcessAnalysis) -> None:
    texts = ["x" * number for number in range(20)]

    assert await asyncio.gather(*(analysis.run(hostile.length_of, text) for text in texts)) == list(range(20))


async def test_a_cancelled_call_ends_its_process(analysis: ProcessAnalysis) -> None:
    pid = await analysis.run(hostile.process_id)
    call = asyncio.create_task(analysis.run(hostile.sleep, 60.0))
    await asyncio.sleep(0.1)

    call.cancel()

    with pytest.raises(asyncio.CancelledError):
        await call
    assert await asyncio.to_thread(gone, pid)


async def test_a_child_has_no_secret(analysis: ProcessAnalysis, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "a-secret")

    assert "OPENAI_API_KEY" not in await analysis.run(hostile.environment)


@pytest.mark.parametrize("busy", ["hostile.length_of, 'idle'", "hostile.backtrack, 'a' * 40 + 'b'"])
def test_a_killed_parent_leaves_no_child(busy: str) -> None:
    script = f"""
import asyncio
from activities.adapters.text_process import ProcessAnalysis
from tests.activities.adapters import hostile_functions as hostile
async def main():
    analysis = ProcessAnalysis(deadline_s=2.0)
    print(await analysis.run(hostile.process_id), flush=True)
    asyncio.create_task(analysis.run({busy}))
    await asyncio.sleep(60)
asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", script], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(0.3)

        parent.kill()

    assert gone(child)


def test_children_start_while_another_thread_multiplies_matrices() -> None:
    """With uvloop, OpenBLAS blocked the process for ever when the event loop started a child."""
    script = """
import threading
import numpy as np
import uvloop
from activities.adapters.text_process import ProcessAnalysis
from tests.activities.adapters import hostile_functions as hostile
done = threading.Event()
def multiply():
    matrix = np.ones((400, 400))
    while not done.is_set():
        matrix @ matrix
async def main():
    for _ in range(3):
        analysis = ProcessAnalysis()
        assert await analysis.run(hostile.length_of, "four") == 4
        analysis.close()
threads = [threading.Thread(target=multiply) for _ in range(2)]
for thread in threads:
    thread.start()
try:
    uvloop.run(main())
finally:
    done.set()
"""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, env=environment, timeout=120, check=True)


def gone(pid: int) -> bool:
    """Whether the process ends within 20 s; its own time limit is shorter."""
    deadline = time.monotonic() + 20
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)
