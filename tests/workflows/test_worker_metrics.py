"""A worker exports its metrics, and dashboards and alerts use only exported metrics."""

import json
import re
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families
from temporalio import activity
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError
from temporalio.worker import Worker

from activities.adapters.telemetry.instrumented import (
    InstrumentedEmbedder,
    InstrumentedEmbeddingLedger,
    InstrumentedModel,
    InstrumentedSender,
)
from activities.adapters.telemetry.metrics import BUCKETS, MetricsInterceptor
from activities.deliver_webhook import AttemptResult
from activities.failures import FailureInterceptor
from activities.mark_failed import FailureInput, FailureResult
from activities.reconcile import Swept
from api.middleware.request_metrics import RequestMetrics
from api.work_metrics import WorkCollector
from deploy.local.ports import HOST, free_port
from deploy.local.settings import CHECKOUT
from domain.assessments.lifecycle import AssessmentStatus
from domain.assessments.results import Publication
from domain.errors import ModelBusy
from domain.grading.ledger import EmbeddingPurchase
from domain.webhooks.deliveries import AttemptOutcome, DeliveryStatus, Message, WebhookResponse
from persistence.queries.work import StepView, SweepView, WorkView
from tests.support.fake_graders import FakeGradingModel
from tests.support.fake_search import FakeEmbedder, RecordingLedger
from tests.support.fakes import ScriptedSender
from tests.workflows.measured_run import MeasuredRun
from tests.workflows.sandbox import STRICT
from tests.workflows.waiting import eventually
from workflows.engine.backlogs import Backlog
from workflows.telemetry.tracing import span
from workflows.telemetry.worker_metrics import metrics_runtime

OBSERVABILITY = CHECKOUT / "deploy" / "observability"
METRIC = re.compile(r"\b(?:microcred|temporal|process)_[a-z_]+")

Samples = dict[str, list[tuple[dict[str, str], float]]]


@activity.defn
async def publish_result() -> Publication:
    return Publication(
        assessment_id=UUID(int=1),
        recommendation_id=UUID(int=2),
        revision=1,
        degraded_reasons=("essay_grader_local", "vector_store_fallback"),
        needs_review=True,
    )


@activity.defn
async def mark_failed(_: FailureInput) -> FailureResult:
    return FailureResult(status=AssessmentStatus.FAILED)


@activity.defn
async def deliver_webhook() -> AttemptResult:
    return AttemptResult(status=DeliveryStatus.DEAD_LETTER, attempts=10, code=500)


@activity.defn
async def ask_model() -> None:
    """A completion for 0.25 cents, vectors without a known price, and a rejected call."""
    wanted: Any = None
    model = InstrumentedModel(FakeGradingModel(b"{}", ModelBusy("busy")), span)
    await model.complete(wanted)
    await InstrumentedEmbedder(FakeEmbedder(), span).embed(["a text"])
    bought = EmbeddingPurchase(
        id=uuid4(), provider="openai", model="vectors", texts=1, tokens=7, cost_cents=None, request_id=None
    )
    await InstrumentedEmbeddingLedger(RecordingLedger()).record(bought)
    await model.complete(wanted)


@activity.defn
async def ask_partner() -> None:
    sender = ScriptedSender([WebhookResponse(outcome=AttemptOutcome.REFUSED, latency_ms=20, code=500)])
    now = datetime(2026, 1, 31, tzinfo=UTC)
    await InstrumentedSender(sender, span).send(
        Message(event_id=UUID(int=3), url="https://partner.example", body=b"", secrets=(), sent_at=now)
    )


@activity.defn
async def reconcile() -> Swept:
    return Swept(concern="expiry", rows=3, started=1, errors={"EXTERNAL_SERVICE_502": 2})


@activity.defn
async def fail() -> None:
    raise ValueError


@pytest.fixture(scope="module")
async def samples(temporal_client: Client) -> Samples:
    """The samples of a worker's endpoint after one run, by name, with their labels."""
    address, queue = f"{HOST}:{free_port()}", f"measured-{uuid4()}"
    client = await Client.connect(
        temporal_client.service_client.config.target_host,
        data_converter=pydantic_data_converter,
        runtime=metrics_runtime(address, BUCKETS),
    )
    async with Worker(
        client,
        task_queue=queue,
        workflows=[MeasuredRun],
        activities=[publish_result, mark_failed, deliver_webhook, ask_model, ask_partner, reconcile, fail],
        interceptors=[MetricsInterceptor(), FailureInterceptor()],
        workflow_runner=STRICT,
    ):
        await client.execute_workflow(MeasuredRun.run, id=queue, task_queue=queue)
        with pytest.raises(RPCError):
            await client.get_workflow_handle("no such run").describe()
        broken = await client.start_workflow("NotRegistered", id=f"{queue}-broken", task_queue=queue)

        async def text() -> str:
            async with httpx.AsyncClient(trust_env=False) as http:
                return (await http.get(f"http://{address}/metrics")).text

        async def has_failed_task() -> bool:
            return "temporal_workflow_task_execution_failed_total" in await text()

        await eventually(has_failed_task, expected=True)
        await broken.terminate()
        found = await text()
    samples: Samples = {}
    for family in text_string_to_metric_families(found):
        for each in family.samples:
            samples.setdefault(each.name, []).append((dict(each.labels), each.value))
    return samples


def by(samples: Samples, name: str, *labels: str) -> dict[tuple[str, ...], float]:
    return {tuple(found[label] for label in labels): value for found, value in samples[name]}


async def test_results_are_counted_by_degraded_reason(samples: Samples) -> None:
    assert by(samples, "microcred_results_total", "degraded", "needs_review") == {("true", "true"): 1}
    assert by(samples, "microcred_degraded_reasons_total", "reason") == {
        ("essay_grader_local",): 1,
        ("vector_store_fallback",): 1,
    }
    assert by(samples, "microcred_assessments_failed_total", "reason") == {("CorruptData",): 1}


async def test_calls_of_models_are_counted_with_their_tokens_and_cents(samples: Samples) -> None:
    assert by(samples, "microcred_model_call_seconds_count", "model", "outcome") == {
        ("fake-model", "ok"): 1,
        ("fake-model", "ModelBusy"): 1,
        ("bag-of-words", "ok"): 1,
    }
    assert by(samples, "microcred_model_cost_cents_sum", "model") == {("fake-model",): 0.25}
    assert by(samples, "microcred_model_tokens_total", "model", "kind")["vectors", "prompt"] == 7


async def test_webhooks_are_counted_by_request_and_by_delivery(samples: Samples) -> None:
    assert by(samples, "microcred_webhook_request_seconds_sum", "outcome") == {("refused",): 0.02}
    assert by(samples, "microcred_webhook_deliveries_total", "status") == {("dead_letter",): 1}


async def test_failures_of_sweeps_are_counted_by_concern(samples: Samples) -> None:
    assert by(samples, "microcred_sweep_failures_total", "concern", "error") == {("expiry", "EXTERNAL_SERVICE_502"): 2}


async def test_failures_of_steps_are_counted_by_the_sdk(samples: Samples) -> None:
    assert set(by(samples, "temporal_activity_execution_failed_total", "activity_type")) == {("ask_model",), ("fail",)}


def of_api() -> set[str]:
    work = WorkView(
        assessments_unfinished=0,
        oldest_unfinished_s=0,
        assessments_healing=0,
        results_awaiting_model=0,
        results_awaiting_search=0,
        essays_awaiting_review=0,
        oldest_review_s=0,
        deliveries_pending=0,
        oldest_delivery_late_s=0,
    )
    metrics, waiting = RequestMetrics(), CollectorRegistry()
    metrics.requests.labels("r", 200).inc()
    metrics.duration.labels("r").observe(1)
    backlog = Backlog(queue="q", kind="activity", tasks=0, oldest_s=0, pollers=frozenset())
    steps, sweeps = [StepView(step="s", oldest_s=0, lost_attempts=0)], [SweepView(concern="c", age_s=0)]
    waiting.register(WorkCollector(work, [backlog], steps, sweeps))
    families = [*metrics.registry.collect(), *waiting.collect()]
    return {sample.name for family in families for sample in family.samples}


def drawn() -> list[str]:
    """The expressions of the dashboards."""
    boards = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(OBSERVABILITY.rglob("dashboards/*.json"))]
    return [target["expr"] for board in boards for panel in board["panels"] for target in panel.get("targets", [])]


def watched() -> list[str]:
    """The expressions of the alerts."""
    groups = yaml.safe_load((OBSERVABILITY / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


@pytest.mark.parametrize("expressions", [drawn(), watched()], ids=["dashboards", "alerts"])
async def test_dashboards_and_alerts_use_only_exported_metrics(expressions: list[str], samples: Samples) -> None:
    named = {name for expression in expressions for name in METRIC.findall(expression)}

    assert len(named) > 5
    assert sorted(named - set(samples) - of_api()) == []


async def test_dashboards_or_alerts_use_all_our_metrics(samples: Samples) -> None:
    shown = {name for expression in [*drawn(), *watched()] for name in METRIC.findall(expression)}
    ours = {name for name in {*samples, *of_api()} if name.startswith("microcred_")}
    bare = re.compile(r"_(?:bucket|sum|count)$")

    assert sorted({bare.sub("", name) for name in ours} - {bare.sub("", name) for name in shown}) == []
