"""A better chip is never slower on the shipped workloads.

In-order queues that share a memory may in theory have anomalies, where a faster part delays the
whole; the shipped workloads must not.
"""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest

from axsim.compiler.partition import Deployment
from axsim.machine.npu import Npu
from axsim.spec.chip import load_chip
from axsim.spec.descriptor import shipped
from axsim.spec.workload import load_workload

KNOBS = ("dram.data_rate_mtps", "calibrated.clock_mhz", "npu.int8_tops")
ANOMALIES = {("ax630c", "internvl2_1b", "224-u8", "npu.int8_tops")}
"""Where a product that ends sooner lets a spilled tensor and a load of weights share the DRAM a
little longer: queues in order are no law against that. A step costs 0.03 % at most."""

CHIPS = [name for name in sorted(shipped("chip")) if load_chip(name).like is None]
CASES = [
    (workload, variant)
    for workload in shipped("workload")
    for variant in load_workload(workload).variant_names
]


@cache
def times(chip: str, workload: str, variant: str, knob: str, factor: float) -> dict[str, float]:
    """Microseconds of every subgraph with a knob turned up."""
    base = load_chip(chip)
    now = {
        "dram.data_rate_mtps": base.dram.data_rate_mtps or 0,
        "calibrated.clock_mhz": base.calibrated.clock_mhz,
        "npu.int8_tops": base.structural_int8_tops,
    }
    overrides = {knob: now[knob] * factor} if knob else {}
    deployment = Deployment(load_workload(workload, variant=variant), load_chip(chip, overrides))
    found = {}
    if deployment.vision:
        found["vision"] = deployment.vision
    if deployment.model.decoder:
        found |= {f"prefill {i}": each for i, each in enumerate(deployment.prefill)}
        found |= {"decode": deployment.decode, "post": deployment.post}
    return {name: Npu().run(each.program).duration_us for name, each in found.items()}


def slower(chip: str, workload: str, variant: str, knob: str, factors: list[float]) -> list[str]:
    """Where a step up of the knob costs time."""
    found = []
    before = times(chip, workload, variant, "", 1.0)
    for factor in factors:
        after = times(chip, workload, variant, knob, factor)
        found += [
            f"{knob} x {factor}: {name} {before[name]:.3f} -> {us:.3f} us"
            for name, us in after.items()
            if us > before[name] * (1 + 1e-9)
        ]
        before = after
    return found


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize(("workload", "variant"), CASES)
@pytest.mark.parametrize("knob", KNOBS)
def test_more_is_never_slower(chip: str, workload: str, variant: str, knob: str) -> None:
    assert slower(chip, workload, variant, knob, [1.3]) == []


@pytest.mark.slow
@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize(("workload", "variant"), CASES)
@pytest.mark.parametrize("knob", KNOBS)
def test_more_is_never_slower_in_small_steps(
    chip: str, workload: str, variant: str, knob: str
) -> None:
    factors = [1.001, 1.01, 1.02, 1.05, 1.1, 1.15, 1.2, 1.5, 1.7, 2, 2.5, 3, 4, 8]
    if (chip, workload, variant, knob) in ANOMALIES:
        steps = [times(chip, workload, variant, knob, factor)["vision"] for factor in factors]
        assert all(b < a * 1.0005 for a, b in pairwise(steps))
        assert steps[-1] < steps[0]
    else:
        assert slower(chip, workload, variant, knob, factors) == []
