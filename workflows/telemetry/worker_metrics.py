"""Metrics of a worker: Temporal's SDK serves its own metrics and ours on one port."""

from collections.abc import Mapping, Sequence

from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig


def metrics_runtime(address: str | None, buckets: Mapping[str, Sequence[float]]) -> Runtime | None:
    """Create a runtime that serves `http://<address>/metrics`. Return None without an address: no metrics are served.

    `buckets` are the bounds of our histograms, in seconds unless the metric's name has another unit.

    Raises:
        RuntimeError: binding the address failed.
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
