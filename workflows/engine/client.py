"""Connect to Temporal. Every process uses this function, so all have the same settings and data converter."""

import asyncio
from typing import Final

import structlog
from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.runtime import Runtime
from temporalio.service import RetryConfig

from workflows.engine.payload_codec import PayloadSettings, data_converter
from workflows.telemetry.correlation import CorrelationInterceptor
from workflows.telemetry.tracing import plugins

log = structlog.get_logger(__name__)

FIRST_PAUSE_S: Final = 1.0
LONGEST_PAUSE_S: Final = 30.0


async def connect_when_available(runtime: Runtime | None = None) -> Client:
    """Connect to Temporal, and try again while the server cannot be reached.

    Each failed attempt writes a log line. The pause after it starts at 1 s and doubles up to 30 s.
    """
    pause = FIRST_PAUSE_S
    while True:
        try:
            return await connect(runtime=runtime)
        except RuntimeError:
            log.warning("engine_unavailable", next_attempt_in_s=pause)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)


async def connect(*, lazy: bool = False, runtime: Runtime | None = None) -> Client:
    """Create a client from `TEMPORAL_ADDRESS` and the other variables of `temporalio.envconfig`.

    Its messages carry the correlation id and the trace context. A `lazy` client connects at its first call and retries
    for less than a second; a process that must work without Temporal uses it. `PAYLOAD_KEYS` encrypts the payloads.

    Raises:
        RuntimeError: the server cannot be reached (never if lazy).
    """
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "127.0.0.1:7233")
    retries = RetryConfig(initial_interval_millis=50, max_elapsed_time_millis=800, max_retries=2) if lazy else None
    return await Client.connect(
        **config,
        data_converter=data_converter(PayloadSettings().cipher()),
        interceptors=[CorrelationInterceptor()],
        plugins=plugins(),
        lazy=lazy,
        retry_config=retries,
        runtime=runtime,
    )
