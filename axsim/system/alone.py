"""A request that has the chip to itself: nothing waits and every layer takes the same time, so that
durations are written down rather than simulated."""

from __future__ import annotations

from dataclasses import replace

from axsim.compiler.partition import Deployment
from axsim.machine.npu import Npu
from axsim.machine.timeline import Timeline
from axsim.system.request import Call, Pass, following, walk
from axsim.system.request_timeline import RequestTimeline


def alone(deployment: Deployment, npu: Npu | None = None, tokens: int = 2) -> RequestTimeline:
    """The times that :func:`axsim.system.serve.serve` finds when nobody else is on the chip, to the
    last bit. Two tokens show how long a decode step takes; :func:`prolonged` gives more."""
    npu = npu or Npu()
    passes: list[Pass] = []
    lengths: list[float] = []
    details: list[Timeline | None] = []
    steps = walk(deployment, min(tokens, 2))
    while (work := following(steps, None)) is not None:
        took, ran = _layers(work, npu)
        passes.append(work)
        lengths += took
        details += ran
    request = RequestTimeline(tuple(passes), lengths, details, power=deployment.chip.power)
    return prolonged(request, tokens)


def prolonged(request: RequestTimeline, tokens: int) -> RequestTimeline:
    """A request that was alone and has two tokens at least, with another number of tokens: every
    decode step is as long as the first, since attention always reads the compiled length of the KV
    cache."""
    more = tokens - len(request.arrivals_ms)
    if more <= 0 or not request.arrivals_ms:
        return request.first(tokens)
    step = request.passes[-2:]
    steps = sum(len(work.steps) * work.layers for work in step)
    later = [replace(work, index=work.index + n) for n in range(1, more + 1) for work in step]
    lengths, details = list(request.lengths_us), list(request.details)
    return replace(
        request,
        passes=(*request.passes, *later),
        lengths_us=lengths + lengths[-steps:] * more,
        details=details + details[-steps:] * more,
    )


def _layers(work: Pass, npu: Npu) -> tuple[list[float], list[Timeline | None]]:
    """How long each step of each layer takes, and what the NPU does in it."""
    took: list[float] = []
    ran: list[Timeline | None] = []
    for step in work.steps:
        if isinstance(step, Call):
            timeline = npu.run(step.subgraph.program)
            took.append(timeline.duration_us)
            ran.append(timeline)
        else:
            took.append(step.us)
            ran.append(None)
    return took * work.layers, ran * work.layers
