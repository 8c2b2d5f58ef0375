"""Prometheus metrics of requests by route, and the check of who may scrape them."""

import hmac
import time
from ipaddress import ip_address
from typing import Annotated, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.middleware.concurrency_limit import STREAMS
from api.security.client_address import parse_networks

BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_PROXY_HEADERS: Final = frozenset(
    {
        "cdn-loop",
        "client-ip",
        "fastly-client-ip",
        "forwarded",
        "proxy-connection",
        "true-client-ip",
        "via",
        "x-client-ip",
        "x-cluster-client-ip",
        "x-coming-from",
        "x-host",
        "x-original-host",
        "x-original-uri",
        "x-original-url",
        "x-proxyuser-ip",
        "x-real-ip",
        "x-remote-addr",
        "x-remote-ip",
        "x-rewrite-url",
        "x-scheme",
    }
)
_PROXY_PREFIXES: Final = (
    "cf-",
    "x-amzn-",
    "x-appengine-",
    "x-azure-",
    "x-envoy-",
    "x-forward",
    "x-original-forwarded-",
)
"""Prefixes of headers that proxies, load balancers and CDNs add. Scrapers do not send them."""
UNROUTED: Final = "none"
"""The `route` label of unknown paths. A label per path would let clients fill the memory."""

disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the number of series


def _networks(value: str) -> str:
    parse_networks(value)
    return value


class MetricsSettings(BaseSettings):
    """Who may scrape: clients in METRICS_NETWORKS, and any client with METRICS_TOKEN as its bearer token."""

    model_config = SettingsConfigDict(
        env_prefix="METRICS_", frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    networks: Annotated[str, AfterValidator(_networks)] = "127.0.0.0/8,::1"
    token: SecretStr | None = Field(default=None, min_length=16)

    def allows(self, scope: Scope) -> bool:
        """Return whether the request has the token, or comes directly from one of the networks.

        A request that a proxy forwards has the proxy's address, so its address proves nothing.
        """
        headers = Headers(scope=scope)
        offered = headers.get("authorization", "").removeprefix("Bearer ").encode()
        if self.token and hmac.compare_digest(offered, self.token.get_secret_value().encode()):
            return True
        if any(map(_is_proxy_header, headers)) or not scope.get("client"):
            return False
        peer = ip_address(scope["client"][0])
        return any(peer in network for network in parse_networks(self.networks))


def _is_proxy_header(header: str) -> bool:
    return header in _PROXY_HEADERS or header.startswith(_PROXY_PREFIXES)


class RequestMetrics:
    """The registry of an app: request metrics, and memory and CPU of the process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "microcred_http_requests", "Requests by route and status", ["route", "status"], registry=self.registry
        )
        self.duration = Histogram(
            "microcred_http_request_duration_seconds",
            "Seconds from the request's headers to the end of the response",
            ["route"],
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self.in_hand = Gauge("microcred_http_requests_in_hand", "Requests in progress", registry=self.registry)


class RequestMetricsMiddleware:
    """Outermost middleware, so that it counts every response. Status 0: the client closed the connection before it."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._metrics.in_hand.inc()
        try:
            await self._app(scope, receive, send_and_note)
        finally:
            self._metrics.in_hand.dec()
            route = getattr(scope.get("route"), "name", UNROUTED)
            self._metrics.requests.labels(route, status).inc()
            if not scope["path"].endswith(STREAMS):  # a stream is open for minutes, which says nothing about latency
                self._metrics.duration.labels(route).observe(time.perf_counter() - started)
