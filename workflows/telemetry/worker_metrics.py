"""Where Prometheus scrapes a worker: Temporal's SDK serves its own numbers and ours on one port."""

from collections.abc import Mapping, Sequence

from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig


def metrics_runtime(address: str | None, buckets: Mapping[str, Sequence[float]]) -> Runtime | None:
    """A runtime that serves `http://<address>/metrics`, such as 0.0.0.0:9464; None keeps the SDK's own, without any.

    `buckets` are those of our histograms, in seconds or in what their names say.

    Raises:
        RuntimeError: the address cannot be had.
    """
    if address is None:
        return None
    served = PrometheusConfig(
        bind_address=address,
        counters_total_suffix=True,
        unit_suffix=True,
        durations_as_seconds=True,
        histogram_bucket_overrides=buckets,
    )
    return Runtime(telemetry=TelemetryConfig(metrics=served, attach_service_name=False))
