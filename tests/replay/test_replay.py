"""This code can continue runs that older code started."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from tests.replay.branches import BRANCHES
from tests.replay.changed import AtOnce, BehindAPatch
from tests.replay.histories import DIRECTORY, EARLIER, all_paths, read
from tests.workflows.pipeline import MARKED
from tests.workflows.sandbox import STRICT
from workflows.engine.workers import WORKFLOW_INTERCEPTORS, WORKFLOWS

REGISTERED = [workflow for workflows in WORKFLOWS.values() for workflow in workflows]
PATHS = list(all_paths())
SEARCH = DIRECTORY / "search-found" / "CatalogSearchWorkflow-1.json"


def replayer(workflows: Sequence[type]) -> Replayer:
    return Replayer(
        workflows=workflows,
        data_converter=pydantic_data_converter,
        interceptors=WORKFLOW_INTERCEPTORS,
        workflow_runner=STRICT,
    )


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}-{path.stem}")
async def test_this_code_replays_every_stored_history(path: Path) -> None:
    await replayer(REGISTERED).replay_workflow(read(path))


def test_every_branch_has_a_history_and_every_history_a_branch() -> None:
    assert {directory.name for directory in DIRECTORY.iterdir()} == set(BRANCHES)


def test_every_registered_workflow_has_a_history() -> None:
    kept = {path.stem.rpartition("-")[0] for path in DIRECTORY.glob("*/*.json")}

    assert kept == {workflow.__name__ for workflow in REGISTERED}


async def test_replay_rejects_a_changed_workflow() -> None:
    with pytest.raises(NondeterminismError):
        await replayer([AtOnce]).replay_workflow(read(SEARCH))


async def test_replay_accepts_a_change_behind_a_patch() -> None:
    await replayer([BehindAPatch]).replay_workflow(read(SEARCH))


async def test_replay_ignores_a_reason_that_an_older_build_ignored() -> None:
    path = EARLIER / "wait-for-the-gate-of-a-provider" / "RevisionWorkflow-4.json"  # completions were rejected
    without, reason = b'"next_call":""}', b'"next_call":"","reason":"essay_refused_by_provider"}'
    text = path.read_text(encoding="utf-8")
    results = {data for data in _payloads(json.loads(text)) if base64.b64decode(data).endswith(without)}
    assert results
    for data in results:
        text = text.replace(data, base64.b64encode(base64.b64decode(data).replace(without, reason)).decode())

    await replayer(REGISTERED).replay_workflow(WorkflowHistory.from_json(path.stem, text))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_stored_history_names_no_person_and_no_machine(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    told = " ".join([text, *map(_decoded, _payloads(json.loads(text)))]).lower()

    assert [marked for marked in (*MARKED, "@", str(Path.home()), ".py") if marked in told] == []


def _payloads(value: Any) -> list[str]:
    match value:
        case {"data": str(data)}:
            return [data]
        case dict():
            return [data for each in value.values() for data in _payloads(each)]
        case list():
            return [data for each in value for data in _payloads(each)]
        case _:
            return []


def _decoded(data: str) -> str:
    return base64.b64decode(data).decode()
