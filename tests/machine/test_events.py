"""The machine stopped, disturbed and shared: executions and transfers of others on one DRAM."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from math import inf
from typing import Any

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.compiler.program import Segment, Step, Task
from axsim.machine.engines import Execution
from axsim.machine.events import Machine, Transfer
from axsim.machine.simulate import simulate
from tests.machine.oracle import Dram, Run
from tests.machine.random_segments import segments

RATE = 10.0
Case = tuple[Segment, int]


def layer(*tasks: Task) -> Segment:
    return Segment.of("layer", (Step("s", "norm", 0, 0),), tasks, (0.0,))


def load(size: float, *deps: int, engine: int = 0) -> Task:
    return Task(engine, "ld:param", 0, 0.0, size, size, deps)


def compute(us: float, *deps: int, engine: int = 1) -> Task:
    return Task(engine, "compute", 0, us, deps=deps)


def test_advancing_stops_where_something_finishes_and_at_the_horizon() -> None:
    machine = Machine(RATE)
    run = machine.start(layer(load(100), compute(5, 0)), 2)
    assert machine.next_us == 10
    assert machine.advance(9) == []
    assert machine.now_us == 0
    assert machine.advance(10) == []
    assert (machine.now_us, machine.next_us) == (10, 15)
    assert not run.finished
    with pytest.raises(ValueError, match="'layer' has not finished"):
        _ = run.timing
    assert machine.advance() == [run]
    assert run.finished
    assert run.timing.end_us_of == (10, 15)
    assert machine.advance() == []
    assert machine.next_us == inf


def test_a_transfer_of_others_takes_its_share() -> None:
    machine = Machine(RATE)
    run = machine.start(layer(load(100)), 1)
    machine.advance(4)  # 40 bytes are across
    camera = machine.open(20, 4)
    assert machine.next_us == 8
    assert machine.advance() == [camera]  # 20 bytes each
    assert camera.finished
    assert machine.advance() == [run]
    assert run.timing.end_us == 12


def test_a_closed_transfer_gives_its_share_back() -> None:
    machine = Machine(RATE)
    run = machine.start(layer(load(100)), 1)
    endless, finite = machine.open(inf, 0), machine.open(1000, 0)
    assert machine.next_us == 30
    machine.advance(6)
    assert machine.close(endless, 6) == inf
    assert machine.close(finite, 6) == pytest.approx(980)
    assert machine.advance() == [run]
    assert run.timing.end_us == pytest.approx(14)


def test_a_finished_transfer_has_nothing_left_to_give_up() -> None:
    machine = Machine(RATE)
    camera = machine.open(10, 0)
    machine.advance()
    assert machine.close(camera, 1) == 0


def test_two_executions_compute_at_once_and_share_the_dram() -> None:
    machine = Machine(RATE)
    one = machine.start(layer(load(100), compute(5, 0)), 2)
    other = machine.start(layer(compute(3), load(70, 0)), 2)
    assert machine.advance() == [other]  # 30 bytes alone, then 70 each
    assert machine.advance() == [one]
    assert other.timing.end_us == 17
    assert one.timing.end_us == 22


def test_what_begins_later_has_its_own_time() -> None:
    machine = Machine(RATE)
    machine.start(layer(compute(20, engine=0)), 1)
    machine.advance(7)
    later = machine.start(layer(compute(3, engine=0)), 1, 7)
    assert machine.advance() == [later]
    assert machine.now_us == 10
    assert (later.timing.start_us, later.timing.end_us) == ((0,), 3)


def test_a_segment_without_tasks_takes_no_time() -> None:
    machine = Machine(RATE)
    run = machine.start(layer(), 3, 5)
    assert machine.advance() == [run]
    assert run.timing.end_us == 0
    assert machine.now_us == 5


def test_nothing_begins_in_the_past() -> None:
    machine = Machine(RATE)
    machine.start(layer(load(100), compute(5, 0)), 2)
    machine.advance(10)
    with pytest.raises(ValueError, match=r"9 us is before the last event, at 10.0 us"):
        machine.open(1, 9)


def test_events_up_to_a_start_come_first_and_what_they_finish_is_told_next() -> None:
    machine = Machine(RATE)
    first, second = machine.start(layer(load(100)), 1), machine.start(layer(load(150)), 1)
    camera = machine.open(10, 26)
    assert first.finished
    assert second.finished
    assert machine.advance(26) == [first, second]
    assert machine.advance() == [camera]
    assert machine.now_us == 27


def test_tasks_that_wait_for_each_other_are_a_defect_beside_endless_transfers_too() -> None:
    machine = Machine(RATE)
    machine.open(inf, 0)
    machine.start(layer(compute(1, 1), compute(1, 0, engine=0)), 2)
    with pytest.raises(ValueError, match="'layer' wait for each other"):
        machine.advance()


@given(segments(), st.floats(0, 1e12), st.lists(st.floats(0, 100), max_size=20))
def test_stopping_changes_no_bit_nor_does_the_time_of_day(
    case: Case, begin: float, pauses: Sequence[float]
) -> None:
    segment, engines = case
    machine = Machine(RATE)
    machine.open(1, 0)  # the machine has been busy before
    machine.advance()
    begin += machine.now_us
    run = machine.start(segment, engines, begin)
    horizon = begin
    for pause in pauses:
        horizon += pause
        if machine.advance(horizon):
            break
        assert horizon < machine.next_us
    while not run.finished:
        assert machine.advance(machine.next_us) in ([], [run])  # event by event
    assert run.timing == simulate(segment, engines, RATE)


Times = tuple[list[float], list[float], list[float]]
"""Of all executions' tasks the starts and the ends, and when each burst was across."""
Starts = Sequence[tuple[float, Case]]
Bursts = Sequence[tuple[float, float]]


def driven(starts: Starts, bursts: Bursts) -> Times:
    """The machine under SimPy: a process brings it up to SimPy's next event."""
    env = simpy.Environment()
    machine = Machine(RATE)
    done: dict[Execution | Transfer, simpy.Event] = {}
    changed = env.event()
    runs: dict[int, tuple[float, Execution]] = {}
    across = [0.0] * len(bursts)

    def clock() -> Generator[simpy.Event, Any, None]:
        while True:
            finished = machine.advance(env.peek())
            if finished:
                yield env.timeout(max(0.0, machine.now_us - env.now))
                for user in finished:
                    done[user].succeed()
                continue
            wait = machine.next_us - env.now
            yield changed if wait == inf else changed | env.timeout(max(0.0, wait))

    def entered(user: Execution | Transfer) -> simpy.Event:
        nonlocal changed
        changed.succeed()
        changed = env.event()
        done[user] = env.event()
        return done[user]

    def execute(index: int, delay: float, case: Case) -> Generator[simpy.Event, Any, None]:
        yield env.timeout(delay)
        begin, run = env.now, machine.start(*case, env.now)
        runs[index] = begin, run
        yield entered(run)
        assert env.now == pytest.approx(begin + run.timing.end_us)

    def burst(index: int, delay: float, size: float) -> Generator[simpy.Event, Any, None]:
        yield env.timeout(delay)
        yield entered(machine.open(size, env.now))
        across[index] = env.now

    for index, (delay, case) in enumerate(starts):
        env.process(execute(index, delay, case))
    for index, (delay, size) in enumerate(bursts):
        env.process(burst(index, delay, size))
    env.process(clock())
    env.run()
    in_order = [runs[index] for index in range(len(starts))]
    start = [begin + time for begin, run in in_order for time in run.timing.start_us]
    end = [begin + time for begin, run in in_order for time in run.timing.end_us_of]
    return start, end, across


def modelled(starts: Starts, bursts: Bursts) -> Times:
    """The same with the oracle's processes and its DRAM."""
    env = simpy.Environment()
    dram = Dram(env, RATE)
    runs: list[Run | None] = [None] * len(starts)
    across = [0.0] * len(bursts)

    def execute(index: int, delay: float, case: Case) -> Generator[simpy.Event, Any, None]:
        yield env.timeout(delay)
        runs[index] = Run(env, dram, *case)

    def burst(index: int, delay: float, size: float) -> Generator[simpy.Event, Any, None]:
        yield env.timeout(delay)
        yield dram.transfer(size)
        across[index] = env.now

    for index, (delay, case) in enumerate(starts):
        env.process(execute(index, delay, case))
    for index, (delay, size) in enumerate(bursts):
        env.process(burst(index, delay, size))
    env.run()
    found = [run for run in runs if run is not None]
    start, end = [t for run in found for t in run.start], [t for run in found for t in run.end]
    return start, end, across


DELAYS = st.one_of(st.integers(0, 20).map(float), st.floats(0, 200))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(DELAYS, segments()), min_size=1, max_size=3),
    st.lists(st.tuples(DELAYS, st.floats(1e-3, 500)), max_size=6),
)
def test_partitions_and_bursts_share_one_dram_as_in_simpy(starts: Starts, bursts: Bursts) -> None:
    found, expected = driven(starts, bursts), modelled(starts, bursts)
    # events that coincide but for rounding may come in either order: up to 1e-6 bytes a transfer
    for times, modelled_times in zip(found, expected, strict=True):
        assert times == pytest.approx(modelled_times, rel=1e-9, abs=1e-4 / RATE)


@settings(max_examples=100, deadline=None)
@given(st.lists(segments(), min_size=2, max_size=3), st.floats(1, 500))
def test_no_bandwidth_is_wasted_or_made_between_partitions(
    cases: Sequence[Case], size: float
) -> None:
    machine = Machine(RATE)
    runs, burst = [machine.start(*case) for case in cases], machine.open(size, 0)
    ended = dict.fromkeys([*runs, burst], 0.0)
    while finished := machine.advance():
        ended |= dict.fromkeys(finished, machine.now_us)
    moving = [(0.0, ended[burst], size)]
    for run in runs:
        rows = zip(run.segment.tasks, run.timing.start_us, run.timing.end_us_of, strict=True)
        moving += [(begin, end, t.dram_cost_bytes) for t, begin, end in rows if t.dram_cost_bytes]
    busy, last = 0.0, 0.0
    for begin, end, _ in sorted(moving):
        busy += max(0.0, end - max(begin, last))
        last = max(last, end)
    assert busy * RATE == pytest.approx(sum(size for _, _, size in moving), rel=1e-9, abs=1e-3)
