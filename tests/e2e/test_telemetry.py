"""Trace, logs and metrics of one run, and that they hold no personal data."""

import json
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from domain.ids import derived_id
from tests.support.collector import Collector, Span
from tests.support.deployment import CLASSMATES, PASSWORD, Deployment, eventually
from tests.support.markers import found_in
from tests.support.model_server import KEY
from tests.support.student_client import MARKER, Attempt

pytestmark = pytest.mark.timeout(600)

WHO = CLASSMATES[0]
"""A student without runs of other tests."""


@dataclass(frozen=True)
class Seen:
    """`request_id` is that of the submission. `trace` is the complete trace of the request that started the run."""

    attempt: Attempt
    request_id: str
    trace: list[Span]
    lines: list[dict[str, Any]]
    text: str

    def one(self, name: str) -> Span:
        return next(span for span in self.trace if span.name.startswith(name))

    def above(self, span: Span) -> list[str]:
        """Return the names of the span's ancestors, the nearest first."""
        by_id = {each.id: each for each in self.trace}
        names = []
        while span.parent:
            span = by_id[span.parent]
            names.append(span.name)
        return names


@pytest.fixture(scope="module")
def seen(deployment: Deployment, spans: Collector) -> Seen:
    attempt = Attempt.start(deployment.log_in(WHO))
    handed_in = attempt.submit()
    attempt.result()
    run = f"assessment-{attempt.id}"
    whole = eventually(lambda: [each for each in _of(run, spans) if each.name.startswith("RunWorkflow")])
    logs = [path for path in deployment.logs.iterdir() if path.name.startswith(("worker", "api"))]
    text = "\n".join(path.read_text(encoding="utf-8") for path in logs)
    lines = [json.loads(line) for line in text.splitlines() if attempt.id in line]
    return Seen(attempt, handed_in.headers["X-Request-Id"], spans.trace(whole[0].trace), lines, text)


def _of(run: str, spans: Collector) -> list[Span]:
    return [span for span in spans.spans() if span.attributes.get("temporalWorkflowID") == run]


def test_one_trace_leads_from_the_request_through_the_run_to_the_model_and_the_sql(seen: Seen) -> None:
    request, run = "POST /api/v1/assessments/{assessment_id}/responses", "RunWorkflow:AssessmentWorkflow"

    chat = seen.above(seen.one("chat "))
    assert chat[:2] == ["RunActivity:score_essay", "StartActivity:score_essay"]
    assert chat[-1] == request
    assert run in chat
    published = [span for span in seen.trace if "RunActivity:blend_recommendations" in seen.above(span)]
    assert {span.attributes.get("db.system.name") for span in published} == {"postgresql"}
    assert {span.service for span in seen.trace} == {"microcred-api", "microcred-worker"}


def test_a_span_of_the_model_has_operation_model_and_token_counts(seen: Seen) -> None:
    chat = seen.one("chat ").attributes

    assert chat["gen_ai.request.model"] in seen.one("chat ").name
    assert int(chat["gen_ai.usage.input_tokens"]) > 0


def test_spans_hold_nothing_of_the_person_and_no_secret(seen: Seen, spans: Collector) -> None:
    told = "\n".join(str(span) for span in spans.spans())

    assert seen.attempt.id in told
    assert found_in(told, [MARKER, WHO, PASSWORD, KEY]) == []


def test_log_lines_hold_nothing_of_the_person_and_no_secret(seen: Seen) -> None:
    assert found_in(seen.text, [MARKER, WHO, PASSWORD, KEY]) == []


def test_a_line_of_an_activity_leads_to_its_request_its_run_its_job_and_its_span(seen: Seen) -> None:
    done = [line for line in seen.lines if line["event"] == "activity_done"]
    [line] = [line for line in done if line["activity"] == "blend_recommendations"]

    job = derived_id("job", seen.attempt.id, 1, 1, "publish_result", None)
    assert (line["service"], line["component"]) == ("worker", "activities.log_context")
    assert (line["correlation_id"], line["workflow_id"]) == (seen.request_id, f"assessment-{seen.attempt.id}")
    assert (line["assessment_id"], line["job_id"]) == (seen.attempt.id, str(job))
    assert line["span_id"] in {span.id for span in seen.trace}


def scraped(url: str) -> dict[str, float]:
    """Return each sample's sum over all labels."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(httpx.get(url, trust_env=False).raise_for_status().text):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0) + sample.value
    return found


@pytest.mark.usefixtures("seen")
def test_a_worker_exports_the_metrics_of_its_run(deployment: Deployment) -> None:
    found = scraped(f"http://{deployment.environment['WORKER_METRICS_ADDRESS']}/metrics")

    assert found["microcred_results_total"] >= 1
    assert found["microcred_model_tokens_total"] > 0
    assert found["microcred_model_cost_cents_sum"] > 0
    assert found["temporal_activity_execution_latency_seconds_count"] > 0
