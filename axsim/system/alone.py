"""A request that has the chip to itself: nothing waits and every layer takes the same time, so that
durations are written down rather than simulated."""

from __future__ import annotations

from axsim.compiler.partition import Deployment
from axsim.machine.npu import Npu
from axsim.machine.timeline import Timeline
from axsim.system.request import Call, Pass, following, walk
from axsim.system.request_timeline import RequestTimeline


def alone(
    deployment: Deployment, npu: Npu | None = None, tokens: int | None = None
) -> RequestTimeline:
    """The times that :func:`axsim.system.serve.serve` finds when nobody else is on the chip, to the
    last bit.

    Without ``tokens`` it generates those of the workload, but two at least: how long a decode step
    takes is asked of every decoder.
    """
    npu = npu or Npu()
    known: dict[int, tuple[list[float], list[Timeline | None]]] = {}
    passes: list[Pass] = []
    lengths: list[float] = []
    details: list[Timeline | None] = []
    steps = walk(deployment, max(2, deployment.workload.new_tokens) if tokens is None else tokens)
    while (work := following(steps, None)) is not None:
        passes.append(work)
        if id(work.steps) not in known:  # equal tokens share their steps
            known[id(work.steps)] = _layers(work, npu)
        took, ran = known[id(work.steps)]
        lengths += took
        details += ran
    return RequestTimeline(tuple(passes), lengths, details)


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
