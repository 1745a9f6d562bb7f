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
from axsim.kernels.twin import compiled
from axsim.machine import npu
from axsim.machine.simulate import PLAIN_TASKS, Simulator
from axsim.machine.timeline import Timing
from tests.machine.random_segments import segments

plain, fast = Simulator(plain_tasks=10**12), Simulator(plain_tasks=0)


@pytest.fixture(autouse=True)
def _numba() -> None:
    if compiled("axsim.machine.loop_numba") is None:
        pytest.skip("numba compiles nothing here")


@settings(max_examples=500, deadline=None)
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
        fast(Segment.of("layer", (Step("s", "norm", 0, 0),), stuck, (0.0,)), 2, 1.0)


def test_a_segment_without_tasks_takes_no_time() -> None:
    assert fast(Segment.of("layer", (), (), ()), 2, 1.0) == Timing((), (), 0.0)


def test_kernels_run_along_in_plain_python() -> None:
    order: list[str] = []
    task = Task(0, "compute", 0, 1.0)
    segment = Segment.of("layer", (Step("s", "norm", 0, 0),), [task], (0.0,))
    fast(segment, 1, 1.0, order.append, (("node",),))
    assert order == ["node"]


def test_a_process_loads_numba_once_it_has_timed_so_much(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr("axsim.machine.simulate.compiled", asked.append)
    task = Task(0, "compute", 0, 1.0)
    segment = Segment.of("layer", (Step("s", "norm", 0, 0),), [task] * 10, (0.0,))
    simulator = Simulator(plain_tasks=25)
    found = [simulator(segment, 1, 1.0) for _ in range(3)]
    assert not asked
    found.append(simulator(segment, 1, 1.0))
    assert asked == ["axsim.machine.loop_numba"]
    assert len(set(found)) == 1


def in_new_process(code: str) -> str:
    run: Sequence[str] = [sys.executable, "-c", code]
    return subprocess.run(run, check=True, capture_output=True, text=True).stdout


def test_a_single_run_does_not_load_numba() -> None:
    code = (
        "import sys, axsim; from axsim.machine.simulate import simulate;"
        "axsim.run('internvl2_1b', 'ax630c', timing_only=True);"
        "print('numba' in sys.modules, simulate._plain_tasks)"
    )
    loaded, left = in_new_process(code).split()
    assert loaded == "False"
    assert int(left) > PLAIN_TASKS * 0.9
