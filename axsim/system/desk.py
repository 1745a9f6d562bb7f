"""A model's tenant at work: requests come, wait, are served, or are dropped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator

from simpy import Event

from axsim.compiler.partition import Deployment
from axsim.system.arrivals import Arrival
from axsim.system.deployed import Deployed
from axsim.system.invocation import Steps
from axsim.system.record import Job, Record, Served
from axsim.system.request_timeline import RequestTimeline
from axsim.system.serve import serve
from axsim.system.soc import Soc
from axsim.system.usage import Usage

OnServed = Callable[[Served], None]
OnIdle = Callable[[], None]


class Desk:
    """Takes the requests of one tenant that come before ``until_us``. ``on_served`` is told each
    one that has been answered; ``open`` counts those that have not, and sources that may bring
    more; ``on_idle`` is called when there may be none of either."""

    def __init__(
        self,
        deployed: Deployed,
        soc: Soc,
        usage: Usage,
        until_us: float,
        on_served: OnServed,
        on_idle: OnIdle,
    ) -> None:
        self.name, self.tenant = deployed.name, deployed.tenant
        self.record = Record()
        self.open = 0
        self._deployed, self._soc, self._usage = deployed, soc, usage
        self._env, self._until = soc.env, until_us
        self._on_served, self._on_idle = on_served, on_idle
        self._waiting: deque[Job] = deque()
        self._idle: list[Event] = []

    def processes(self, arrivals: Iterator[Arrival]) -> Iterator[Steps]:
        """Everything that goes on at the desk; ``arrivals`` are the requests that wait for no
        answer."""
        way = self.tenant.arrivals
        assert way is not None
        clients = way.closed or way.chat
        if clients is not None:
            chat = self._deployed.turns if way.chat else (self._deployed.deployment,)
            self.open += clients.clients
            for _ in range(clients.clients):
                start, think = way.start_ms * 1e3, clients.think_ms * 1e3
                yield self._client(chat, start, think)
            return
        for _ in range(self.tenant.parallel):
            yield self._serve_all()
        if way.after is None:
            self.open += 1
            yield self._source(arrivals)

    def come(self, job: Job) -> None:
        """A request comes."""
        way, record = self.tenant.arrivals, self.record
        assert way is not None
        record.requests += 1
        if not self._idle and way.queue is not None and len(self._waiting) >= way.queue:
            record.dropped += 1
            return
        self.open += 1
        record.came(self._env.now)
        if self._idle:
            self._idle.pop().succeed(job)
        else:
            self._waiting.append(job)
            record.waits(len(self._waiting))

    def _source(self, arrivals: Iterator[Arrival]) -> Steps:
        for arrival in arrivals:
            if arrival.us >= self._until:
                break
            yield self._env.timeout(max(0.0, arrival.us - self._env.now))
            now = self._env.now
            self.come(Job(now, now, arrival.prompt_tokens, arrival.new_tokens))
        self.open -= 1
        self._on_idle()

    def _serve_all(self) -> Steps:
        while True:
            if self._waiting:
                job = self._waiting.popleft()
            else:
                idle = self._env.event()
                self._idle.append(idle)
                job = yield idle
            deployment = self._deployed.of(job.prompt_tokens)
            yield from self._serve(deployment, job)

    def _client(self, turns: tuple[Deployment, ...], start_us: float, think_us: float) -> Steps:
        yield self._env.timeout(start_us)
        while self._env.now < self._until:
            for turn in turns:
                if self._env.now >= self._until:
                    break
                now = self._env.now
                self.open += 1
                self.record.requests += 1
                self.record.came(now)
                yield from self._serve(turn, Job(now, now))
                left = self._until - self._env.now  # nobody comes afterwards
                if think_us and left > 0:
                    yield self._env.timeout(min(think_us, left))
        self.open -= 1
        self._on_idle()

    def _serve(self, deployment: Deployment, job: Job) -> Steps:
        timeline: RequestTimeline = yield from serve(
            self._soc,
            deployment,
            job.new_tokens,
            partition=self._deployed.partition,
            priority=self.tenant.priority,
            usage=self._usage,
            name=self.name,
        )
        served = Served(self.name, job, timeline)
        now = self._env.now
        self.record.done(served, now, self.tenant.deadline_ms)
        if now <= self._until:
            self.record.in_time += 1
        self._on_served(served)
        self.open -= 1
        self._on_idle()
