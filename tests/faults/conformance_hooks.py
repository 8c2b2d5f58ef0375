"""Hooks of Schemathesis: half of the ids that it makes up name something, and nobody changes the accounts of the runs.

KNOWN_IDS in the environment is a JSON object: the name of a parameter or a field, and the ids that there are.
"""

import json
import os
from typing import Any
from uuid import UUID

import schemathesis

KNOWN: dict[str, list[str]] = json.loads(os.environ["KNOWN_IDS"])
NOBODY = str(UUID(int=0))


@schemathesis.hook
def before_call(_: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:  # noqa: ARG001  # by name
    path = case.path_parameters
    if case.meta is None or case.meta.phase.name.value != "stateful":  # whose ids come from answers
        for values in (path, case.query, case.body):
            _name_something(values)
    if case.method in {"PATCH", "DELETE"} and path.get("user_id") in KNOWN["user_id"]:
        path["user_id"] = NOBODY


def _name_something(values: object) -> None:
    if isinstance(values, dict):
        for name, value in values.items():
            if isinstance(value, str) and (known := KNOWN.get(name)) and _is_id(value) and not int(value[-1], 16) % 2:
                values[name] = known[int(value[-2], 16) % len(known)]
            else:
                _name_something(value)
    elif isinstance(values, list):
        for each in values:
            _name_something(each)


def _is_id(value: str) -> bool:
    try:
        return str(UUID(value)) == value
    except ValueError:
        return False
