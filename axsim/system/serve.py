"""A request as a SimPy process on a chip."""

from __future__ import annotations

from collections.abc import Callable, Collection

from axsim.compiler.partition import Deployment
from axsim.system.request import Call, Compute, following, walk
from axsim.system.request_timeline import RequestTimeline
from axsim.system.soc import Soc, Steps

OnToken = Callable[[int, float], None]
"""Told each token and when it was there, ms after the request's arrival."""


def serve(
    soc: Soc,
    deployment: Deployment,
    tokens: int | None = None,
    *,
    partition: str = "npu",
    ends: Collection[int] = (),
    compute: Compute | None = None,
    on_token: OnToken | None = None,
) -> Steps:
    """One request, which arrives now, of at most ``tokens`` tokens (those of the workload unless
    given). Returns its :class:`RequestTimeline`.

    With ``compute`` the kernels of an invocation run when it ends, and one of the tokens ``ends``
    ends the request.
    """
    env = soc.env
    arrived, token = env.now, None
    passes, waits, lengths, details = [], [], [], []
    steps = walk(deployment, deployment.workload.new_tokens if tokens is None else tokens, ends)
    while (work := following(steps, token)) is not None:
        passes.append(work)
        for layer in range(work.layers):
            for step in work.steps:
                asked = env.now
                if isinstance(step, Call):
                    began, timeline = yield from soc.invoke(step.subgraph.program, partition)
                    lengths.append(timeline.duration_us)
                    if compute is not None:
                        token = compute(work, step, layer)
                else:
                    began, timeline = (yield from soc.work(step.us, step.cores)), None
                    lengths.append(step.us)
                details.append(timeline)
                waits.append(began - asked)
        if work.stage == "post" and token is not None and on_token is not None:
            on_token(token, (env.now - arrived) / 1e3)
    waited = waits if any(waits) else ()
    power = deployment.chip.power
    return RequestTimeline(tuple(passes), lengths, details, waited, arrived, power)
