"""The recorded answers of each provider, as pytest parameters. `shapes` has one file a provider.

In a reply, `GRADING` represents a valid grading as JSON and `DRAFT` for another one.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

FILES: Final = sorted(Path(__file__).with_name("shapes").glob("*.json"))
GRADING: Final = {
    "criteria": {
        "cause": {"rationale": "It says so.", "quotes": ["the join doubles orders"], "level": "Strong"},
        "remedy": {"rationale": "It says so.", "quotes": ["I would repair the join"], "level": "Emerging"},
    },
    "answers_the_question": True,
    "feedback": "A fair start.",
}
DRAFT: Final = GRADING | {"feedback": "A first draft."}


def providers() -> list[str]:
    return [_loaded(file)["provider"] for file in FILES]


def shapes(kind: str) -> list[Any]:
    """The shapes of one kind: `failures`, `options`, `replies`, `withheld` or `vectors`."""
    return list(_parameters(kind))


def _parameters(kind: str) -> Iterator[Any]:
    for file in FILES:
        for shape in _loaded(file).get(kind, []):
            yield pytest.param(_filled(shape), id=f"{file.stem}: {shape['name']}")


def _loaded(file: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return loaded


def _filled(part: Any) -> Any:
    if isinstance(part, str):
        return part.replace("GRADING", json.dumps(GRADING)).replace("DRAFT", json.dumps(DRAFT))
    if isinstance(part, list):
        return [_filled(each) for each in part]
    return {name: _filled(each) for name, each in part.items()} if isinstance(part, dict) else part
