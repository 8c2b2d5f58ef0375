"""Schemathesis hooks: use existing ids in half of the requests, and protect the accounts of the test run.

In its stateful phase Schemathesis expects that a resource exists after the response that reports its creation. So the
hooks leave other paths with a user's id alone, and no request there repeats an idempotency key: the response to a
repeated key is the first one, even if the resource was deleted since.

KNOWN_IDS in the environment is a JSON object that maps the name of a parameter or field to the existing ids.
"""

import json
import os
from typing import Any
from uuid import UUID, uuid4

import schemathesis

KNOWN: dict[str, list[str]] = json.loads(os.environ["KNOWN_IDS"])
UNKNOWN_USER = str(UUID(int=0))
KEY = "Idempotency-Key"


@schemathesis.hook
def before_call(_: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:  # noqa: ARG001  # by name
    path = case.path_parameters
    if case.meta is None or case.meta.phase.name.value != "stateful":  # stateful ids come from responses
        for values in (path, case.query, case.body):
            _name_something(values)
    elif KEY in case.headers:
        case.headers[KEY] = str(uuid4())
    changes_user = case.method in {"PATCH", "DELETE"} and case.path.endswith("/users/{user_id}")
    if changes_user and path["user_id"] in KNOWN["user_id"]:
        path["user_id"] = UNKNOWN_USER


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
