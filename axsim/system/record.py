"""What became of a tenant's requests, counted as they finish."""

from __future__ import annotations

from typing import NamedTuple

from axsim.system.quantiles import Quantiles
from axsim.system.request_timeline import RequestTimeline


class Job(NamedTuple):
    """A request in the tenant's hands: when it came, when the first of the requests came that led
    to it, and a prompt and a number of new tokens of its own where it has them."""

    arrived_us: float
    origin_us: float
    prompt_tokens: int | None = None
    new_tokens: int | None = None


class Served(NamedTuple):
    """A request that has been answered."""

    name: str
    job: Job
    timeline: RequestTimeline

    @property
    def wait_ms(self) -> float:
        """From its arrival until the tenant began with it."""
        return (self.timeline.arrived_us - self.job.arrived_us) / 1e3

    @property
    def latency_ms(self) -> float:
        """From its arrival to its end."""
        return self.wait_ms + self.timeline.ms


class Record:
    """Times are milliseconds; see :data:`MEASURES` for what is counted."""

    def __init__(self) -> None:
        self.requests = self.dropped = self.finished = self.late = 0
        self.in_time = 0
        """Finished before the arrivals stopped."""
        self.queued = self.most_waiting = 0
        self.measures = {name: Quantiles() for name in MEASURES}
        self._present = 0
        self._area = 0.0  # of requests present over time, in microseconds
        self._since = 0.0

    def came(self, now_us: float) -> None:
        """A request has come, which is not dropped."""
        self._count(now_us, 1)

    def waits(self, waiting: int) -> None:
        """One more request waits, so many in all."""
        self.queued += 1
        self.most_waiting = max(self.most_waiting, waiting)

    def done(self, served: Served, now_us: float, deadline_ms: float | None) -> None:
        """A request has been answered."""
        self._count(now_us, -1)
        self.finished += 1
        timeline, add = served.timeline, self._add
        latency = served.latency_ms
        add("latency_ms", latency)
        add("wait_ms", served.wait_ms)
        if deadline_ms is not None and latency > deadline_ms:
            self.late += 1
        if served.job.origin_us != served.job.arrived_us:
            add("chain_ms", latency + (served.job.arrived_us - served.job.origin_us) / 1e3)
        if timeline.arrivals_ms:
            add("first_token_ms", served.wait_ms + timeline.image_to_first_token_ms)
            add("ttft_ms", timeline.ttft_ms)
            for step in timeline.steps_ms:
                add("token_ms", step)

    def present(self, until_us: float) -> float:
        """How many requests were there on average, waiting ones too, up to now."""
        self._count(until_us, 0)
        return self._area / until_us

    def _add(self, name: str, value: float) -> None:
        self.measures[name].add(value)

    def _count(self, now_us: float, change: int) -> None:
        self._area += self._present * (now_us - self._since)
        self._since = now_us
        self._present += change


MEASURES = {
    "latency_ms": "from a request's arrival to its end, waiting included",
    "wait_ms": "from its arrival until the tenant begins with it",
    "first_token_ms": "from its arrival to its first token: what a person waits",
    "ttft_ms": "all prefill chunks and the first post, as they went in this company",
    "token_ms": "every further token",
    "chain_ms": "from the arrival of the first of the requests that led to it, to its end",
}
"""What is counted of requests, and what it means."""
