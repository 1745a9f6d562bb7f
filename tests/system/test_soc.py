"""The chip in simulated time: queues, sharing, replay, and what is conserved."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.compiler.partition import Deployment
from axsim.compiler.program import Engine, Program, Segment, Step, Task
from axsim.errors import InputError
from axsim.machine.npu import Npu
from axsim.machine.timeline import Timeline
from axsim.spec.chip import load_chip
from axsim.spec.workload import load_workload
from axsim.system.alone import alone
from axsim.system.request_timeline import RequestTimeline
from axsim.system.serve import serve
from axsim.system.soc import Soc
from tests.runs.tiny import workload

CHIP = load_chip("ax650n", {"dram.peak_gbps": 0.01, "calibrated.dram_efficiency": 1.0})
"""Its memory moves 10 bytes a microsecond."""
TWO = {"one": "NPU1", "other": "NPU1"}


def program(*segments: tuple[Task, ...], fixed: float = 2.0) -> Program:
    """A program for one SDMA queue and one CONV unit."""
    engines = Engine("sdma0.rd", "sdma", 0), Engine("conv1", "conv", 0)
    steps = (Step("a", "norm", 0, 0),)
    parts = tuple(Segment.of("s", steps, tasks, (0.0,)) for tasks in segments)
    return Program("p", engines, 10.0, parts, ((("a",),),) * len(parts), fixed, 0, 0)


def load(size: float) -> Task:
    return Task(0, "ld:param", 0, 0.0, size, size)


def compute(us: float, *deps: int) -> Task:
    return Task(1, "compute", 0, us, deps=deps)


def simulate(*tenants: Callable[[simpy.Environment, Soc], Any], **options: Any) -> list[Any]:
    """What each process on one chip returns, None when it never ends."""
    env = simpy.Environment()
    soc = Soc(env, options.pop("chip", CHIP), TWO, **options)
    processes = [env.process(tenant(env, soc)) for tenant in tenants]
    env.run()
    return [process.value if process.triggered else None for process in processes]


def invoke(work: Program, partition: str = "one", at: float = 0.0, times: int = 1) -> Any:
    """A tenant: begin, end and timeline of each invocation."""

    def tenant(env: simpy.Environment, soc: Soc) -> Iterator[Any]:
        yield env.timeout(at)
        found = []
        for _ in range(times):
            asked = env.now
            waited, timeline = yield from soc.invoke(work, partition)
            found.append((asked + waited, env.now, timeline))
        return found

    return tenant


def burst(size: float, at: float) -> Any:
    """A tenant: when its bytes are across."""

    def tenant(env: simpy.Environment, soc: Soc) -> Iterator[Any]:
        yield env.timeout(at)
        yield from soc.move(size)
        return env.now

    return tenant


@pytest.mark.parametrize("replay", [True, False])
def test_two_tenants_by_hand(replay: bool) -> None:
    """One: 1 us, loads 100 bytes, computes 5 us, 1 us. Other, from 6 us on: the same."""
    work = program((load(100), compute(5, 0)))
    (one,), (other,) = simulate(invoke(work), invoke(work, "other", at=6), replay=replay)
    # alone from 1 to 7: 60 bytes; then each has 5 bytes a us: 40 are across at 15
    assert one[:2] == (0, pytest.approx(15 + 5 + 1))
    # 40 by 15, the other 60 alone by 21
    assert other[:2] == (6, pytest.approx(21 + 5 + 1))
    assert one[2].timings[0].end_us_of == pytest.approx((14, 19))
    assert other[2].timings[0].end_us_of == pytest.approx((14, 19))
    assert one[2].duration_us == pytest.approx(21)
    assert other[2].duration_us == pytest.approx(21)


@pytest.mark.parametrize("replay", [True, False])
def test_who_joins_late_and_leaves_early(replay: bool) -> None:
    """A burst in the middle of the second of three segments; the third is undisturbed."""
    work = program((load(50),), (load(100),), (load(30), compute(4)))
    (one,), across = simulate(invoke(work), burst(20, at=8), replay=replay)
    assert across == pytest.approx(12)  # 20 bytes at 5 a us
    assert [timing.end_us for timing in one[2].timings] == pytest.approx([5, 12, 4])
    assert one[2].offsets_us == pytest.approx((1, 6, 18))
    assert one[1] == pytest.approx(1 + 5 + 12 + 4 + 1)


@pytest.mark.parametrize("at", [0.0, 0.5, 1.0, 6.0, 11.0, 11.5, 12.0])
def test_who_joins_while_the_fixed_cost_runs_or_as_a_segment_ends(at: float) -> None:
    work = program((load(50),), (load(50),))
    expected = simulate(invoke(work), burst(5, at), replay=False)
    found = simulate(invoke(work), burst(5, at))
    assert found[0][0][1] == pytest.approx(expected[0][0][1])
    assert found[1] == pytest.approx(expected[1])


def test_a_partition_runs_one_invocation_at_a_time_in_the_order_of_asking() -> None:
    work = program((compute(10),))
    first, second = simulate(invoke(work), invoke(work, at=3, times=2))
    assert first[0][:2] == (0, 12)
    assert [(begin, end) for begin, end, _ in second] == [(12, 24), (24, 36)]


def test_partitions_that_only_compute_do_not_meet() -> None:
    work = program((compute(10),))
    (one,), (other,) = simulate(invoke(work), invoke(work, "other", at=3))
    assert (one[:2], other[:2]) == ((0, 12), (3, 15))


def test_alone_is_replayed_to_the_last_bit() -> None:
    work = program((load(33.3), compute(0.7, 0)), (load(12.1),))
    npu = Npu()
    (replayed,) = simulate(invoke(work, at=0.1), npu=npu)
    (simulated,) = simulate(invoke(work, at=0.1), replay=False)
    assert replayed[0][2] is not npu.run(work)  # made from the same timings
    assert replayed[0][2] == simulated[0][2] == npu.run(work)


def test_an_endless_stream_takes_its_share_for_ever_and_ends_nothing() -> None:
    (one,), _ = simulate(invoke(program((load(100),))), burst(float("inf"), at=0))
    assert one[1] == pytest.approx(22)


def test_a_transfer_can_be_given_up() -> None:
    def impatient(env: simpy.Environment, soc: Soc) -> Iterator[Any]:
        moving = env.process(soc.move(1000))
        yield env.timeout(5)
        moving.interrupt()
        with pytest.raises(simpy.Interrupt):
            yield moving

    (one,), _ = simulate(invoke(program((load(100),))), impatient)
    # 1 us fixed, 20 bytes of its own by 5, the other 80 alone
    assert one[1] == pytest.approx(5 + 8 + 1)


def test_the_cores_are_shared() -> None:
    cores = CHIP.cpu.cores
    began = []

    def work(us: float, count: int) -> Any:
        def tenant(env: simpy.Environment, soc: Soc) -> Iterator[Any]:
            began.append(env.now + (yield from soc.work(us, count)))
            return env.now

        return tenant

    ends = simulate(work(10, 1), work(5, cores), work(1, cores - 1))
    assert (began, ends) == ([0, 10, 15], [10, 15, 16])


def test_partitions_that_overlap_or_do_not_exist_are_refused() -> None:
    env = simpy.Environment()
    with pytest.raises(InputError, match=r"one: 2, other: 2 .* overlap \(ax650n has 3\)"):
        Soc(env, CHIP, {"one": "NPU2", "other": "NPU2"})
    with pytest.raises(InputError, match="NPU9"):
        Soc(env, CHIP, {"one": "NPU9"})


def camera(frame: float, period: float, frames: int) -> Any:
    """Moves a frame every so often."""

    def tenant(env: simpy.Environment, soc: Soc) -> Iterator[Any]:
        moved = 0.0
        for _ in range(frames):
            yield env.timeout(period)
            yield from soc.move(frame)
            moved += frame
        return moved, env.now

    return tenant


def requests(deployment: Deployment, partition: str, at: float = 0.0) -> Any:
    def tenant(env: simpy.Environment, soc: Soc) -> Iterator[Any]:
        yield env.timeout(at)
        return (yield from serve(soc, deployment, partition=partition))

    return tenant


TINY = load_chip("ax650n")


def lone(deployment: Deployment) -> RequestTimeline:
    """The whole request without company."""
    return alone(deployment, tokens=deployment.workload.new_tokens)


@settings(max_examples=25, deadline=None)
@given(st.floats(0, 500), st.floats(1, 1e5), st.floats(1, 300))
def test_company_makes_nobody_faster(at: float, frame: float, period: float) -> None:
    """Nor does it matter whether what is undisturbed is replayed or simulated again."""
    one, other = (
        Deployment(workload(build={"npu_mode": "NPU1"}, images=n, text_tokens=9), TINY)
        for n in (1, 2)
    )
    tenants = requests(one, "one"), requests(other, "other", at), camera(frame, period, 20)
    first, second, _ = simulate(*tenants, chip=TINY)
    for request, deployment in ((first, one), (second, other)):
        undisturbed = lone(deployment)
        assert request.ms >= undisturbed.ms * (1 - 1e-12)
        for found, best in zip(request.arrivals_ms, undisturbed.arrivals_ms, strict=True):
            assert found >= best * (1 - 1e-12)
    again = simulate(*tenants, chip=TINY, replay=False)
    assert again[0].arrivals_ms == pytest.approx(first.arrivals_ms, rel=1e-9)
    assert again[1].arrivals_ms == pytest.approx(second.arrivals_ms, rel=1e-9)


def busy_us(timeline: Timeline) -> float:
    """Engine time of compute tasks."""
    return sum(s.end_us - s.start_us for s in timeline.slices() if s.task.kind == "compute")


def test_work_and_bytes_are_conserved() -> None:
    """Sharing moves work in time; it neither makes nor loses any."""
    mode = {"build.npu_mode": "NPU1"}
    deployment = Deployment(load_workload("internvl2_1b", mode, "224-u8"), TINY)
    small = Deployment(workload(build={"npu_mode": "NPU1"}), TINY)
    first, second, (moved, ended) = simulate(
        requests(deployment, "one"),
        requests(small, "other", at=30_000),
        camera(3e6, 1000, 100),
        chip=TINY,
    )
    assert second.ms > lone(small).ms
    assert moved == 3e8
    crossed = moved
    for request, deployed in ((first, deployment), (second, small)):
        undisturbed = lone(deployed)
        pairs = zip(request.details, undisturbed.details, strict=True)
        for found, best in pairs:
            assert (found is None) == (best is None)
            if found is not None and best is not None:
                assert busy_us(found) == pytest.approx(busy_us(best))
                crossed += sum(s.task.dram_cost_bytes for s in found.slices())
    assert crossed <= TINY.sustained_gbps * 1e3 * max(ended, first.ms * 1e3)
    assert first.ms > lone(deployment).ms


@pytest.mark.parametrize("chip", ["ax650n", "ax630c"])
@pytest.mark.parametrize("replay", [True, False])
def test_a_request_alone_is_what_is_written_down_unsimulated(chip: str, replay: bool) -> None:
    deployment = Deployment(load_workload("internvl2_1b", variant="224-u8"), load_chip(chip))
    tokens = 16 if replay else 2
    env = simpy.Environment()
    request = serve(Soc(env, deployment.chip, replay=replay), deployment, tokens)
    found = env.run(env.process(request))
    assert found == alone(deployment, tokens=tokens)
    assert env.now / 1e3 == pytest.approx(found.ms, rel=1e-12)


def test_simpys_events_elsewhere_change_no_bit() -> None:
    """A clock that ticks beside the chip is nobody's company."""
    deployment = Deployment(workload(), TINY)
    env = simpy.Environment()

    def clock() -> Iterator[simpy.Event]:
        while True:
            yield env.timeout(0.37)

    env.process(clock())
    found = env.run(env.process(serve(Soc(env, TINY, replay=False), deployment)))
    assert found == lone(deployment)


def test_a_request_that_waits_says_how_long() -> None:
    """Two requests on one partition: each invocation of one waits for the other's."""
    deployment = Deployment(workload(build={"npu_mode": "NPU1"}), TINY)
    first, second = simulate(requests(deployment, "one"), requests(deployment, "one"), chip=TINY)
    undisturbed = lone(deployment)
    for request in (first, second):
        slices = list(request)
        for before, after in itertools.pairwise(slices):
            assert after.start_us >= before.end_us
        waited = sum(request.waits_us)
        assert waited > 0
        assert request.ms * 1e3 == pytest.approx(undisturbed.ms * 1e3 + waited)
        assert request.arrivals_ms == pytest.approx(
            [e.end_us / 1e3 for e in slices if e.stage == "post" and not hasattr(e, "subgraph")]
        )
