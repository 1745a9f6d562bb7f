"""A request as a SimPy process on a chip."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Sequence
from itertools import accumulate

from axsim.compiler.partition import Deployment
from axsim.machine.timeline import Timeline
from axsim.system.invocation import Steps
from axsim.system.request import Call, Compute, Pass, following, walk
from axsim.system.request_timeline import RequestTimeline
from axsim.system.soc import Soc
from axsim.system.usage import Moved, Usage

NOTHING = Moved(0.0, 0.0)
OnToken = Callable[[int, float], None]
"""Told each token and when it was there, ms after the request's arrival."""


def serve(
    soc: Soc,
    deployment: Deployment,
    tokens: int | None = None,
    *,
    partition: str = "npu",
    priority: int = 0,
    ends: Collection[int] = (),
    compute: Compute | None = None,
    on_token: OnToken | None = None,
    usage: Usage | None = None,
    name: str = "",
) -> Steps:
    """One request, which arrives now, of at most ``tokens`` tokens (those of the workload unless
    given). Returns its :class:`RequestTimeline`.

    With ``compute`` the kernels of an invocation run when it ends, and one of the tokens ``ends``
    ends the request. ``usage`` is told what the tenant ``name`` has used.
    """
    env = soc.env
    arrived, token = env.now, None
    passes: list[Pass] = []
    waits: list[float] = []
    lengths: list[float] = []
    details: list[Timeline | None] = []
    alike: dict[int, _Known] = {}
    steps = walk(deployment, deployment.workload.new_tokens if tokens is None else tokens, ends)
    while (work := following(steps, token)) is not None:
        passes.append(work)
        known = None
        if compute is None:
            known = alike.get(id(work.steps))
            if known is None:
                known = alike[id(work.steps)] = _Known(work, soc, usage)
        at, count = 0, len(work.steps) * work.layers
        while at < count:
            if known is not None:
                free = soc.undisturbed_us(partition, known.cores)
                ahead = known.within(at, free)
                if ahead > at:  # nobody else acts before these steps end
                    began = env.now
                    yield env.timeout(known.ends[ahead] - known.ends[at])
                    if usage is not None:
                        known.tell(usage, name, partition, at, ahead, began, env.now)
                    lengths += known.lengths[at:ahead]
                    details += known.details[at:ahead]
                    waits += [0.0] * (ahead - at)
                    at = ahead
                    continue
            layer, number = divmod(at, len(work.steps))
            step = work.steps[number]
            if isinstance(step, Call):
                asked, program = env.now, step.subgraph.program
                waited, timeline = yield from soc.invoke(program, partition, priority)
                length = timeline.duration_us
                if usage is not None:
                    usage.npu[name, partition].add(asked + waited, env.now, length)
                    usage.moved(name, asked + waited, env.now, usage.size(program))
                if compute is not None:
                    token = compute(work, step, layer)
            else:
                waited, timeline = (yield from soc.work(step.us, step.cores)), None
                length = step.us
                if usage is not None:
                    usage.cpu[name].add(env.now - length, env.now, length * step.cores)
            lengths.append(length)
            details.append(timeline)
            waits.append(waited)
            at += 1
        if work.stage == "post" and token is not None and on_token is not None:
            on_token(token, (env.now - arrived) / 1e3)
    waited = waits if any(waits) else ()
    power = deployment.chip.power
    return RequestTimeline(tuple(passes), lengths, details, waited, arrived, power)


class _Known:
    """What the steps of a pass take when nobody disturbs them, all layers, and what they use."""

    def __init__(self, work: Pass, soc: Soc, usage: Usage | None) -> None:
        lengths: list[float] = []
        details: list[Timeline | None] = []
        npu: list[float] = []
        cpu: list[float] = []
        dram: list[Moved] = []
        for step in work.steps:
            if isinstance(step, Call):
                timeline = soc.known(step.subgraph.program)
                lengths.append(timeline.duration_us)
                details.append(timeline)
                npu.append(timeline.duration_us)
                cpu.append(0.0)
                dram.append(NOTHING if usage is None else usage.size(timeline.program))
            else:
                lengths.append(step.us)
                details.append(None)
                npu.append(0.0)
                cpu.append(step.us * step.cores)
                dram.append(NOTHING)
        self.cores = max((s.cores for s in work.steps if not isinstance(s, Call)), default=0)
        self.lengths, self.details = lengths * work.layers, details * work.layers
        self.ends = _sums(self.lengths)
        self._npu, self._cpu = _sums(npu * work.layers), _sums(cpu * work.layers)
        self._sizes = _sums([each.size for each in dram] * work.layers)
        self._costs = _sums([each.cost for each in dram] * work.layers)

    def within(self, at: int, us: float) -> int:
        """The step before which those from ``at`` on have ended, less than ``us`` from now."""
        if us <= self.lengths[at]:
            return at
        return max(at, bisect_left(self.ends, self.ends[at] + us) - 1)

    def tell(
        self, usage: Usage, name: str, partition: str, at: int, to: int, began: float, ended: float
    ) -> None:
        """What the steps from ``at`` up to ``to`` have used in this time."""
        usage.npu[name, partition].add(began, ended, self._npu[to] - self._npu[at])
        usage.cpu[name].add(began, ended, self._cpu[to] - self._cpu[at])
        size, cost = (sums[to] - sums[at] for sums in (self._sizes, self._costs))
        usage.moved(name, began, ended, Moved(size, cost))


def _sums(values: Sequence[float]) -> list[float]:
    return list(accumulate(values, initial=0.0))
