"""An NPU by turns, by hand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import simpy

from axsim.compiler.program import Engine, Program, Segment, Step, Task
from axsim.spec.chip import load_chip
from axsim.system.soc import Soc

CHIP = load_chip("ax630c", {"dram.peak_gbps": 0.01, "calibrated.dram_efficiency": 1.0})
"""Its memory moves 10 bytes a microsecond."""
HALVES = {"one": "NPU1", "other": "NPU1"}


def program(*lengths: float, load: float = 0.0) -> Program:
    """Segments that compute for so long; before each, so many bytes are loaded."""
    engines = Engine("sdma0.rd", "sdma", 0), Engine("conv1", "conv", 0)
    parts = []
    for us in lengths:
        tasks = [Task(1, "compute", 0, us)]
        if load:
            tasks = [Task(0, "ld:param", 0, 0.0, load, load), Task(1, "compute", 0, us, deps=(0,))]
        parts.append(Segment.of("s", (Step("a", "norm", 0, 0),), tasks, (0.0,)))
    return Program("p", engines, 10.0, tuple(parts), ((("a",),),) * len(parts), 0.0, 0, 0)


def simulate(*tenants: Any, replay: bool = True) -> list[Any]:
    env = simpy.Environment()
    soc = Soc(env, CHIP, HALVES, replay=replay)
    processes = [env.process(tenant(env, soc)) for tenant in tenants]
    env.run()
    return [process.value for process in processes]


def invoke(work: Program, partition: str, at: float = 0.0) -> Any:
    """End, how long it waited, and how long it worked."""

    def tenant(env: simpy.Environment, soc: Soc) -> Iterator[Any]:
        yield env.timeout(at)
        waited, timeline = yield from soc.invoke(work, partition)
        return env.now, waited, timeline.duration_us

    return tenant


def hold(us: float, partition: str, turn_us: float, at: float = 0.0) -> Any:
    def tenant(env: simpy.Environment, soc: Soc) -> Iterator[Any]:
        yield env.timeout(at)
        yield from soc.hold(us, partition, turn_us=turn_us)
        return env.now

    return tenant


@pytest.mark.parametrize("replay", [True, False])
def test_segments_alternate(replay: bool) -> None:
    """One: 0-10. Other comes at 4, waits to 10, and has 10-20 (as much). One 20-30, other 30-40."""
    work = program(10, 10)
    one, other = simulate(invoke(work, "one"), invoke(work, "other", at=4), replay=replay)
    assert one == pytest.approx((30, 10, 20))
    assert other == pytest.approx((40, 16, 20))


def test_a_segment_that_is_the_last_is_not_parted_from_the_end() -> None:
    """Half of the fixed cost stands at the end."""
    work = program(10, 10)
    fixed = Program(*(getattr(work, name) for name in PARTS), invocation_us=4, **NOTHING)
    one, other = simulate(invoke(fixed, "one"), invoke(fixed, "other", at=1))
    # one 0-12, other 12-24, one 24-36 with its end, other 36-48
    assert one == pytest.approx((36, 12, 24))
    assert other == pytest.approx((48, 23, 24))


PARTS = ("name", "engines", "dram_bytes_per_us", "segments", "nodes")
NOTHING = {"weight_bytes": 0, "activation_bytes": 0}


@pytest.mark.parametrize("replay", [True, False])
def test_short_pieces_have_as_much_time_as_long_ones(replay: bool) -> None:
    """One has pieces of 12, other of 4: three of these for one of those."""
    long, short = program(12, 12, 12), program(*[4] * 9)
    one, other = simulate(invoke(long, "one"), invoke(short, "other"), replay=replay)
    # other waits for the first 12, then each has 12
    assert one[0] == pytest.approx(12 + 12 + 12 + 12 + 12)
    assert other[0] == pytest.approx(72)


@pytest.mark.parametrize("replay", [True, False])
def test_who_was_idle_has_saved_nothing_up(replay: bool) -> None:
    """One has had 100 alone when the other comes; from then on they have equal parts."""
    one, other = simulate(
        invoke(program(*[10] * 14), "one"), invoke(program(*[10] * 4), "other", at=100),
        replay=replay,
    )  # fmt: skip
    assert other[0] - 100 == pytest.approx(80, abs=10)
    assert one[0] == pytest.approx(180, abs=10)


def test_work_without_a_program_is_cut_into_turns() -> None:
    """30 us in turns of 5, from 0 on; a program of two segments of 5 comes at 12: it has 15-20,
    and 25-30."""
    held, (end, waited, worked) = simulate(
        hold(30, "one", 5), invoke(program(5, 5), "other", at=12)
    )
    assert held == pytest.approx(40)
    assert end == pytest.approx(30)
    assert (waited, worked) == pytest.approx((3 + 5, 10))


@pytest.mark.parametrize("replay", [True, False])
def test_bursts_meet_whoever_has_the_turn(replay: bool) -> None:
    """One loads 100 bytes and computes 5, twice; a burst of 50 bytes comes at 2, another tenant of
    one such segment at 3."""

    def burst(env: simpy.Environment, soc: Soc) -> Iterator[Any]:
        yield env.timeout(2)
        yield from soc.move(50)
        return env.now

    work = program(5, 5, load=100)
    one, other, across = simulate(
        invoke(work, "one"), invoke(program(5, load=100), "other", at=3), burst, replay=replay
    )
    # 20 bytes by 2, then 5 a us each: the burst is across at 12, one's 100 at 15, computed at 20
    assert across == pytest.approx(12)
    assert other == pytest.approx((35, 17, 15))
    assert one == pytest.approx((50, 15, 35))


def test_a_turn_that_is_given_up_goes_to_the_next() -> None:
    def impatient(env: simpy.Environment, soc: Soc) -> Iterator[Any]:
        yield env.timeout(1)
        holding = env.process(soc.hold(50, "other", turn_us=5))
        yield env.timeout(2)  # it still waits for the other's first piece
        holding.interrupt()
        with pytest.raises(simpy.Interrupt):
            yield holding

    one, _ = simulate(invoke(program(10, 10), "one"), impatient)
    assert one == pytest.approx((20, 0, 20))
