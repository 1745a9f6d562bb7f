"""The compiled loop against the machine, to the last bit, and when a process takes it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.compiler.program import Segment, Step, Task
from axsim.fidelity.ledger import load_ledger, load_models, shipped_ledger, shipped_models
from axsim.fidelity.predict import compare, shipped_chips
from axsim.kernels.twin import WhenItPays, compiled
from axsim.machine import npu
from axsim.machine import simulate as module
from axsim.machine.events import Machine
from axsim.machine.simulate import simulate
from axsim.machine.timeline import Timing
from tests.machine.random_segments import segments

STEPS = (Step("s", "norm", 0, 0),)


def plain(segment: Segment, engines: int, rate: float) -> Timing:
    machine = Machine(rate)
    execution = machine.start(segment, engines)
    machine.advance()
    return execution.timing


def fast(segment: Segment, engines: int, rate: float) -> Timing:
    loop = compiled("axsim.machine.loop_numba")
    assert loop is not None
    timing: Timing = loop.time(segment, rate)
    return timing


@pytest.fixture(autouse=True)
def _numba() -> None:
    if compiled("axsim.machine.loop_numba") is None:
        pytest.skip("numba compiles nothing here")


@settings(max_examples=200, deadline=None)
@given(segments(), st.sampled_from([1.0, 10.0, 333.3]))
def test_any_segment(case: tuple[Segment, int], rate: float) -> None:
    assert fast(*case, rate) == plain(*case, rate)


def test_every_program_of_the_ledger(monkeypatch: pytest.MonkeyPatch) -> None:
    timings = []

    def both(segment: Segment, engines: int, rate: float, *given: object) -> Timing:
        timing = fast(segment, engines, rate)
        assert timing == plain(segment, engines, rate)
        timings.append(timing)
        return timing

    monkeypatch.setattr(npu, "simulate", both)
    compared = compare(
        load_ledger(shipped_ledger()), load_models(shipped_models()), shipped_chips()
    )
    assert all(each.predicted is not None for each in compared)
    assert len(timings) > len(compared)


def test_tasks_that_wait_for_each_other_are_a_defect() -> None:
    stuck = [Task(0, "compute", 0, 1.0, deps=(1,)), Task(1, "compute", 0, 1.0, deps=(0,))]
    with pytest.raises(ValueError, match="'layer' wait for each other"):
        fast(Segment.of("layer", STEPS, stuck, (0.0,)), 2, 1.0)


def test_a_segment_without_tasks_takes_no_time() -> None:
    assert fast(Segment.of("layer", (), (), ()), 2, 1.0) == Timing((), (), 0.0)


def test_it_takes_over_once_so_much_was_timed_without(monkeypatch: pytest.MonkeyPatch) -> None:
    segment = Segment.of("layer", STEPS, [Task(0, "compute", 0, 1.0)] * 10, (0.0,))
    loop = compiled("axsim.machine.loop_numba")
    assert loop is not None
    timed: list[Segment] = []
    real = loop.time

    def watched(segment: Segment, rate: float) -> Timing:
        timed.append(segment)
        return real(segment, rate)  # type: ignore[no-any-return]

    monkeypatch.setattr(loop, "time", watched)
    monkeypatch.setattr(module, "_loop", WhenItPays("axsim.machine.loop_numba", 25))
    found = [simulate(segment, 1, 1.0) for _ in range(3)]
    assert not timed
    found.append(simulate(segment, 1, 1.0))
    assert timed == [segment]
    assert len(set(found)) == 1


def in_new_process(code: str) -> str:
    run: Sequence[str] = [sys.executable, "-c", code]
    return subprocess.run(run, check=True, capture_output=True, text=True).stdout


def test_a_single_run_does_not_load_numba() -> None:
    code = (
        "import sys, axsim;"
        "axsim.run('internvl2_1b', 'ax630c', timing_only=True);"
        "print('numba' in sys.modules)"
    )
    assert in_new_process(code).strip() == "False"
