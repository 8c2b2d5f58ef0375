"""OpenAI embeds the catalogue. MiniLM replaces it until it is done and while it hangs; later, the results heal."""

from decimal import Decimal

import pytest

from tests.faults.injection import assert_done_once
from tests.support import fake_completions, model_server
from tests.support.deployment import Deployment, eventually
from tests.support.model_server import ModelServer
from tests.support.student_client import ROLES, Attempt

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

FALLBACK = "embedder_fallback"


@pytest.fixture
def environment(provider: ModelServer) -> dict[str, str]:
    """MiniLM has embedded the catalogue; OpenAI is configured as the new provider."""
    return {
        "EMBEDDING_PROVIDER": "openai",
        "ESSAY_GRADER": "local",
        "OPENAI_API_KEY": model_server.KEY,
        "OPENAI_BASE_URL": provider.base_url,
        "OPENAI_EMBEDDING_TIMEOUT_S": "1",
    }


def fell_back(attempt: Attempt) -> bool:
    return FALLBACK in attempt.result()["degraded_reasons"]


def unembedded(deployment: Deployment) -> int:
    """Return how many credentials OpenAI has not embedded yet."""
    query = (
        "SELECT (SELECT count(*) FROM credential_catalog WHERE active)"
        " - (SELECT count(*) FROM embedding_artifacts WHERE provider = 'openai')"
    )
    return int(deployment.rows(query)[0][0])


def searched_by(deployment: Deployment, attempt: Attempt) -> set[str]:
    """Return the providers of the vectors that found the result's evidence."""
    query = (
        "SELECT DISTINCT provider FROM rag_traces JOIN embedding_artifacts AS artifact"
        " ON artifact.id = embedding_artifact_id JOIN recommendations AS recommendation"
        " ON recommendation.id = recommendation_id WHERE assessment_id = %s"
    )
    return {provider for (provider,) in deployment.rows(query, attempt.id)}


def paid(deployment: Deployment) -> tuple[int, Decimal]:
    """Return the tokens and cents in the ledger."""
    query = "SELECT coalesce(sum(value), 0) FROM metric_snapshots WHERE metric_type = %s"
    [(tokens,)], [(cents,)] = (deployment.rows(query, name) for name in ("embedding_tokens", "embedding_cost_cents"))
    return int(tokens), Decimal(cents)


def test_results_fall_back_to_minilm_and_heal_with_openai(deployment: Deployment, provider: ModelServer) -> None:
    first, second = (Attempt.start(deployment.log_in(), role) for role in ROLES[:2])
    first.submit()
    before_it_is_embedded = fell_back(first)
    eventually(lambda: unembedded(deployment) == 0)
    texts = [text for asked in provider.asked for text in asked.json["input"]]
    tokens = sum(len(text.split()) for text in texts)
    spent = paid(deployment)
    provider.vectors = lambda _: fake_completions.HANG
    second.submit()
    while_it_hangs = fell_back(second)
    by_the_standby = searched_by(deployment, second)
    provider.reset()

    eventually(lambda: not fell_back(first) and not fell_back(second))

    assert (before_it_is_embedded, while_it_hangs) == (True, True)
    assert by_the_standby == {"sentence-transformers"}
    assert searched_by(deployment, first) == searched_by(deployment, second) == {"openai"}
    assert spent == (tokens, Decimal(tokens) * 2 / 1_000_000)
    assert len(texts) == len(set(texts))
    assert_done_once(deployment, [first, second], revisions=2)
