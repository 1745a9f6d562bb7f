"""The machine against the same contract written with SimPy."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.compiler.partition import Deployment
from axsim.compiler.program import Segment
from axsim.machine.simulate import simulate
from axsim.spec.chip import load_chip
from axsim.spec.workload import load_workload
from tests.machine.oracle import times
from tests.machine.random_segments import segments


@settings(max_examples=150, deadline=None)
@given(segments(), st.sampled_from([1.0, 10.0, 333.3]))
def test_any_segment(case: tuple[Segment, int], rate: float) -> None:
    segment, engines = case
    found = simulate(segment, engines, rate)
    start, end, drained = times(segment, engines, rate)
    # events that coincide but for rounding may come in either order: up to 1e-6 bytes a transfer
    close = {"rel": 1e-9, "abs": 1e-4 / rate}
    assert found.start_us == pytest.approx(start, **close)
    assert found.end_us_of == pytest.approx(end, **close)
    assert found.end_us == pytest.approx(drained, **close)


@pytest.mark.parametrize("chip", ["ax630c", "ax650n"])
@pytest.mark.parametrize("variant", ["224-u8", "448-u16"])
def test_real_programs_to_the_last_bit(chip: str, variant: str) -> None:
    deployment = Deployment(load_workload("internvl2_1b", variant=variant), load_chip(chip))
    assert deployment.vision is not None
    for subgraph in (deployment.vision, *deployment.prefill, deployment.decode, deployment.post):
        program = subgraph.program
        for segment in dict.fromkeys(program.segments):
            found = simulate(segment, len(program.engines), program.dram_bytes_per_us)
            start, end, drained = times(segment, len(program.engines), program.dram_bytes_per_us)
            assert (found.start_us, found.end_us_of) == (tuple(start), tuple(end))
            assert found.end_us == drained
