"""Read a strict subset of YAML: every scalar is text, keys are unique, no anchors, limited size and depth."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

import yaml

MAX_BYTES: Final = 1_048_576
MAX_DEPTH: Final = 16


class UnreadableYamlError(ValueError):
    """A file that is not valid in this subset. The message names the problem and, if known, the line."""


class _Loader(yaml.CBaseLoader):
    """Load scalars unchanged: `No` stays text and 0.10 keeps its digits."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002  # PyYAML's signature
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise UnreadableYamlError(f"{_line(key.start_mark)}a key must be a scalar")
            if key.value in seen:
                raise UnreadableYamlError(f"{_line(key.start_mark)}the key {key.value!r} occurs twice")
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)


def read_yaml(path: Path) -> Any:  # noqa: ANN401  # strings, lists and dicts
    """Return the file's only document.

    Raises:
        UnreadableYamlError: the file is not YAML, or uses YAML outside of this subset.
    """
    content = path.read_bytes()
    if len(content) > MAX_BYTES:
        raise UnreadableYamlError(f"must not exceed {MAX_BYTES} bytes")
    try:
        _check_events(content)
        return yaml.load(content, Loader=_Loader)  # noqa: S506  # it builds strings, lists and dicts only
    except yaml.YAMLError as error:
        problem = getattr(error, "problem", None) or "is not YAML"
        raise UnreadableYamlError(f"{_line(getattr(error, 'problem_mark', None))}{problem}") from None


def _check_events(content: bytes) -> None:
    """Check the events before anything is built: nested aliases in a small file could expand to gigabytes."""
    depth = 0
    for event in yaml.parse(content, Loader=yaml.CBaseLoader):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise UnreadableYamlError(f"{_line(event.start_mark)}anchors and aliases are not allowed")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise UnreadableYamlError(f"{_line(event.start_mark)}nested more than {MAX_DEPTH} deep")


def _line(mark: Any) -> str:  # noqa: ANN401  # a mark of the parser in C or in Python, or None
    return f"line {mark.line + 1}: " if mark else ""
