"""What ``/metrics`` tells, in Prometheus' text format. Times are the simulated chip's, unless they
say otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from axsim.server.engine import Outcome
    from axsim.server.waiting import Desk

CONTENT_TYPE = CONTENT_TYPE_LATEST

_FIRST_TOKEN_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20)
_TOKEN_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)


class Meters:
    """The counters of one server."""

    def __init__(self, desk: Desk) -> None:
        self._registry = registry = CollectorRegistry()
        self._requests = Counter(
            "axsim_requests", "Chat completions by HTTP status; 499: the client went away",
            ["status"], registry=registry,
        )  # fmt: skip
        tokens = Counter("axsim_tokens", "Tokens by kind", ["kind"], registry=registry)
        self._prompt, self._cached, self._new = map(tokens.labels, ("prompt", "cached", "new"))
        self._busy = Counter(
            "axsim_busy_seconds", "Simulated time of the chip on requests", registry=registry
        )
        self._ttft = Histogram(
            "axsim_ttft_seconds", "Prefill and the first post, without the image",
            buckets=_FIRST_TOKEN_S, registry=registry,
        )  # fmt: skip
        self._first = Histogram(
            "axsim_image_to_first_token_seconds", "From a request's turn to its first token",
            buckets=_FIRST_TOKEN_S, registry=registry,
        )  # fmt: skip
        self._token = Histogram(
            "axsim_token_seconds", "A decode step, the mean of a request",
            buckets=_TOKEN_S, registry=registry,
        )  # fmt: skip

        def gauge(name: str, meaning: str) -> Gauge:
            return Gauge(name, meaning, registry=registry)

        gauge("axsim_requests_open", "Answered now or waiting").set_function(lambda: desk.open)
        gauge("axsim_requests_waiting", "Waiting").set_function(lambda: desk.waiting)
        gauge("axsim_kv_cache_tokens", "Tokens in the KV caches").set_function(
            lambda: desk.engine.slots.tokens
        )
        gauge("axsim_held_up_seconds", "Time that the host was slower than the chip").set_function(
            lambda: desk.late_s
        )

    def ended(self, status: int) -> None:
        """A request got this answer."""
        self._requests.labels(str(status)).inc()

    def answered(self, outcome: Outcome) -> None:
        """A request was simulated to its end."""
        timeline = outcome.timeline
        self._prompt.inc(outcome.prompt_tokens)
        self._cached.inc(outcome.cached_tokens)
        self._new.inc(outcome.new_tokens)
        self._busy.inc(timeline.ms / 1e3)
        self._ttft.observe(timeline.ttft_ms / 1e3)
        self._first.observe(timeline.image_to_first_token_ms / 1e3)
        if timeline.token_ms:
            self._token.observe(timeline.token_ms / 1e3)

    def text(self) -> bytes:
        """All of it."""
        return generate_latest(self._registry)
