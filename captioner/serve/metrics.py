"""The metrics of a server, in the text format of Prometheus."""

from collections.abc import Callable

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)

from captioner import __version__
from captioner.serve.limits import REASONS

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)


class Metrics:
    """The counters of requests. They hold no photos, captions or addresses.

    Args:
        model: the name of the model that captions.
        gauges: the present state: by name, a description, and a function that gives the number.
    """

    def __init__(self, model: str, gauges: dict[str, tuple[str, Callable[[], float]]]) -> None:
        disable_created_metrics()
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "captioner_requests", "Requests answered.", ("route", "status"), registry=self._registry
        )
        self._refusals = Counter("captioner_refusals", "Requests refused.", ("reason",), registry=self._registry)
        self._seconds = Histogram(
            "captioner_request_seconds",
            "Seconds from a request's headers to the end of its answer.",
            ("route",),
            buckets=BUCKETS,
            registry=self._registry,
        )
        for reason in REASONS:
            self._refusals.labels(reason)  # so that each is there from the start, as 0
        for name, (help_text, value) in gauges.items():
            Gauge(f"captioner_{name}", help_text, registry=self._registry).set_function(value)
        Info("captioner_model", "The model that captions.", registry=self._registry).info(
            {"model": model, "version": __version__}
        )

    def count_request(self, route: str, status: int, seconds: float) -> None:
        """Count a request that has been answered.

        Args:
            route: one of the server's own, or "other", so that their number is bounded.
            status: of HTTP; 499 where the client has gone.
            seconds: that it took.
        """
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def count_refusal(self, reason: str) -> None:
        """Count a request that has been refused for one of `REASONS`."""
        self._refusals.labels(reason).inc()

    def text(self) -> bytes:
        """Return all metrics as text."""
        return generate_latest(self._registry)
