"""What intervals owe to how a chip is built in and shared, which no row was measured with."""

from __future__ import annotations

from axsim.compiler.partition import Deployment
from axsim.fidelity.prediction import Interval
from axsim.system.metrics import METRICS
from axsim.system.request_timeline import RequestTimeline

LOWEST = -0.95
"""No time is negative."""


def turns(deployment: Deployment) -> str:
    """Why an NPU mode that has its engines by turns with another is not anchored; empty for others.

    The times of a program that has all turns are predicted. Published pairs of one network in both
    modes of AX630C's silicon differ by 1.4 to 1.7 times; whether a neighbour was at work is not
    said. With engines half as fast, the networks of measurements/onnx differ by 1.3 to 1.9 times,
    with half of the on-chip memory alone by 1.0 to 1.3.
    """
    shares = {str(name): share for name, share in deployment.chip.npu.mode_ocm.items()}
    if shares.get(deployment.mode.name, 1.0) == 1.0:
        return ""
    name = deployment.mode.name
    return f"nothing was measured in {name}, whose neighbour by turns is assumed idle"


def over_link(
    interval: Interval, deployment: Deployment, metric: str, request: RequestTimeline
) -> tuple[Interval, str]:
    """The interval with what round trips of other hosts would make of the prediction, and the
    reason; the same and none where there is no link, or where its round trip is one's own."""
    host, of = deployment.chip.host, METRICS[metric].of
    if deployment.link is None or host.pcie_ms_span is None or of is None:
        return interval, ""
    low, high = host.pcie_ms_span
    value = of(request)
    others = [of(request.delayed((each - host.pcie_ms) * 1e3)) for each in (low, high)]
    assert value is not None
    shifts = [each / value - 1 for each in others if each is not None]
    wider = Interval(max(LOWEST, interval.low + min(shifts)), interval.high + max(shifts))
    return wider, f"the link's round trip is from other hosts, {low:g} to {high:g} ms an invocation"
