"""A request that has the chip to itself: nothing waits and every layer takes the same time, so that
durations are written down rather than simulated."""

from __future__ import annotations

from axsim.compiler.partition import Deployment, Subgraph
from axsim.compiler.program import Program
from axsim.machine.npu import Npu
from axsim.machine.timeline import Timeline
from axsim.system.request import Call, following, walk
from axsim.system.timeline import RequestTimeline


def alone(
    deployment: Deployment, npu: Npu | None = None, tokens: int | None = None
) -> RequestTimeline:
    """The times that :func:`axsim.system.serve.serve` finds when nobody else is on the chip, to the
    last bit.

    Without ``tokens`` it generates those of the workload, but two at least: how long a decode step
    takes is asked of every decoder.
    """
    npu = npu or Npu()
    ran: dict[Program, Timeline] = {}

    def run(subgraph: Subgraph) -> Timeline:
        if subgraph.program not in ran:
            ran[subgraph.program] = npu.run(subgraph.program)
        return ran[subgraph.program]

    passes, lengths, details = [], [], []
    steps = walk(deployment, max(2, deployment.workload.new_tokens) if tokens is None else tokens)
    while (work := following(steps, None)) is not None:
        passes.append(work)
        timelines = [run(step.subgraph) if isinstance(step, Call) else None for step in work.steps]
        details += timelines * work.layers
        lengths += work.layers * [
            step.us if timeline is None else timeline.duration_us
            for step, timeline in zip(work.steps, timelines, strict=True)
        ]
    return RequestTimeline(tuple(passes), lengths, details)
