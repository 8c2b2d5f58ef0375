"""Settings of a worker that would never do its work are refused at the start."""

import pytest
from pydantic import ValidationError

from workflows.engine.worker_settings import WorkerSettings


@pytest.mark.parametrize(
    "setting",
    [
        *("ASSESSMENTS_SLOTS", "LLM_SLOTS", "EMBEDDINGS_SLOTS", "WEBHOOKS_SLOTS", "WEBHOOKS_SLOTS_PER_ENDPOINT"),
        "RECONCILE_EVERY_S",
    ],
)
def test_a_worker_without_slots_or_pauses_does_not_start(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"WORKER_{setting}", "0")

    with pytest.raises(ValidationError, match=setting.lower()):
        WorkerSettings()


def test_workflow_tasks_of_new_and_of_cached_webhooks_have_a_slot_each() -> None:
    with pytest.raises(ValidationError, match="webhooks_slots"):
        WorkerSettings(webhooks_slots=1)
