"""A student with a graded assessment and an open appeal, and an advisor."""

from typing import Any

import pytest

from tests.api.appeals.appeal_requests import completed_of, opened
from tests.api.conftest import Api, Person


@pytest.fixture
async def advisor(api: Api) -> Person:
    return await api.person("advisor")


@pytest.fixture
async def completed(api: Api, learner: Person) -> dict[str, Any]:
    return await completed_of(api, learner)


@pytest.fixture
async def appeal_id(api: Api, learner: Person, completed: dict[str, Any]) -> str:
    """An open appeal of the first essay."""
    return str((await opened(api, learner, completed))["appeal_id"])
