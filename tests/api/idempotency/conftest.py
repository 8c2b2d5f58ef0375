"""Feedback that is sent with an Idempotency-Key."""

import pytest

from tests.api.conftest import Api, Person
from tests.api.idempotency.repeated_requests import Request


@pytest.fixture
async def feedback(api: Api, learner: Person) -> Request:
    publication = await api.completed(learner)
    return Request(api, learner, f"/recommendations/{publication.recommendation_id}/feedback", {"relevance_score": 4})
