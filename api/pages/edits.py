"""Forms that change stored values: only the fields that the user has changed are stored.

Each field has a hidden companion with the value that the page showed. So a page that was opened before another admin
saved a change does not undo it.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from api.pages.forms import Form

_PREFIX: Final = "was."


def hidden_fields(sent: Mapping[str, Any]) -> dict[str, str]:
    """Return the hidden fields of a form. `sent` is what the form would send if the user changed nothing."""
    return {f"{_PREFIX}{name}": _text(value) for name, value in sent.items()}


def hidden_fields_of(form: Form, sent: Iterable[str]) -> dict[str, str]:
    """Return the hidden fields of the fields that a form has sent, to show it again."""
    return {name: form[name] for each in sent if (name := f"{_PREFIX}{each}") in form}


def changed(sent: Mapping[str, Any], form: Form) -> dict[str, Any]:
    """Return the fields that differ from what the page showed; all fields of a form without hidden ones."""
    return {name: value for name, value in sent.items() if form.get(f"{_PREFIX}{name}") != _text(value)}


def _text(value: object) -> str:
    return json.dumps(value, default=str)
