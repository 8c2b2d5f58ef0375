"""Stored histories: their location and format."""

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from temporalio.api.enums.v1 import EventType
from temporalio.client import WorkflowHistory

DIRECTORY: Final = Path(__file__).parent / "histories"
EARLIER: Final = Path(__file__).parent / "earlier"
"""Histories from before a change, by the id of its patch. Move them there by hand; delete them with the patch.

`one-concern-per-sweep` needs no patch, because only the input and the result of an activity changed.
"""

_LEFT_OUT: Final = frozenset(
    {
        "historySizeBytes",
        "identity",
        "meteringMetadata",
        "requestId",
        "retryPolicy",
        "stackTrace",
        "taskId",
        "userMetadata",
        "workerVersion",
    }
)
"""Fields that no replay reads: they name machines and paths, are long, or change with every export."""


def write_all(branch: Path, histories: Sequence[WorkflowHistory]) -> None:
    """Write one history per sequence of events. Another with the same sequence adds no coverage."""
    courses = {_course(history): history for history in reversed(histories)}
    count: Counter[str] = Counter()
    for (kind, *_), history in reversed(courses.items()):
        count[kind] += 1
        _write(branch / f"{kind}-{count[kind]}.json", history)


def _course(history: WorkflowHistory) -> tuple[str, ...]:
    """The workflow type and the sequence of events, without their details."""
    kind = history.events[0].workflow_execution_started_event_attributes.workflow_type.name
    return (kind, *(EventType.Name(event.event_type) for event in history.events))


def _write(path: Path, history: WorkflowHistory) -> None:
    """One event per line, for readable diffs."""
    events = [_kept(event) for event in history.to_json_dict()["events"]]
    lines = ",\n".join(json.dumps(event, separators=(",", ":"), ensure_ascii=False) for event in events)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{{"events":[\n{lines}\n]}}\n', encoding="utf-8")


def read(path: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(path.stem, path.read_text(encoding="utf-8"))


def all_paths() -> Iterator[Path]:
    yield from sorted([*DIRECTORY.glob("*/*.json"), *EARLIER.glob("*/*.json")])


def _kept(value: Any) -> Any:
    match value:
        case {"kind": "TASK_QUEUE_KIND_STICKY", "normalName": queue}:  # its own name is that of a process
            return {"name": queue}
        case dict():
            return {name: _kept(each) for name, each in value.items() if name not in _LEFT_OUT}
        case list():
            return [_kept(each) for each in value]
        case _:
            return value
