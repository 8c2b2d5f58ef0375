"""Skip tests of runtimes of MiniLM that are not installed."""

import pytest

from activities.adapters.minilm.runtimes import RuntimeName, installed


def skip_unless_installed(name: RuntimeName) -> None:
    if not installed(name):
        pytest.skip(f"NOT TESTED: MiniLM by {name}, because this runtime is not installed")
