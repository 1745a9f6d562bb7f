"""Engines in order, retirement, replay: small segments with known timelines."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from axsim.compiler.program import Engine, Program, Segment, Step, Task
from axsim.machine.dram import Dram
from axsim.machine.npu import Npu
from axsim.machine.simulate import simulate
from axsim.machine.timeline import Timing

ENGINES = (
    Engine("conv0", "conv", 0),
    Engine("teng1", "teng", 0),
    Engine("sdma3.rd", "sdma", 0),
    Engine("sdma3.wr", "sdma", 0),
)
CONV, TENG, READ, WRITE = range(4)
RATE = 100.0


def segment(*tasks: Task) -> Segment:
    steps = 1 + max(task.step for task in tasks)
    return Segment.of(
        "layer", tuple(Step(f"s{i}", "norm", 0, 0) for i in range(steps)), tasks, (0.0,) * steps
    )


def program(segments: Sequence[Segment], invocation_us: float = 0.0) -> Program:
    nodes = tuple(
        tuple((f"{at}.{step}.a", f"{at}.{step}.b") for step in range(len(each.steps)))
        for at, each in enumerate(segments)
    )
    return Program("test", ENGINES, RATE, tuple(segments), nodes, invocation_us, 0, 0)


def compute(engine: int, us: float, *deps: int, step: int = 0) -> Task:
    return Task(engine, "compute", step, us, deps=deps)


def load(size: float, *deps: int, step: int = 0, cost: float = 1.0) -> Task:
    return Task(READ, "ld:param", step, 0.0, size, size * cost, deps)


def run(*tasks: Task) -> Timing:
    return simulate(segment(*tasks), len(ENGINES), RATE)


def test_tasks_of_one_engine_follow_each_other() -> None:
    found = run(compute(CONV, 3), compute(CONV, 4), compute(TENG, 5))
    assert found.start_us == (0, 3, 0)
    assert found.end_us_of == (3, 7, 5)
    assert found.end_us == 7


def test_a_task_waits_for_all_it_depends_on() -> None:
    found = run(compute(CONV, 3), compute(TENG, 5), compute(CONV, 1, 0, 1))
    assert found.start_us[2] == 5
    assert found.end_us == 6


def test_an_engine_does_not_overtake_a_waiting_task() -> None:
    found = run(compute(TENG, 10), compute(CONV, 1, 0), compute(CONV, 1))
    assert found.start_us[1:] == (10, 11)


def test_a_task_may_depend_on_one_that_ended_long_ago() -> None:
    found = run(compute(TENG, 1), compute(CONV, 10), compute(CONV, 1, 0), compute(TENG, 1, 0))
    assert found.start_us == (0, 0, 10, 1)


def test_transfers_take_their_cost() -> None:
    assert run(load(500)).end_us == pytest.approx(5)
    assert run(load(500, cost=1.25)).end_us == pytest.approx(6.25)


def test_tasks_that_wait_for_each_other_are_a_defect() -> None:
    with pytest.raises(ValueError, match="'layer' wait for each other"):
        run(compute(CONV, 1, 1), compute(TENG, 1, 0))
    with pytest.raises(ValueError, match="wait for each other"):
        run(compute(CONV, 1, 1), compute(CONV, 1))  # behind it in the same queue


def test_reads_and_writes_share_the_bandwidth() -> None:
    found = run(load(300), Task(WRITE, "st:output", 0, 0.0, 100, 100))
    assert found.end_us_of == pytest.approx((4, 2))


def test_loading_ahead_hides_behind_computing() -> None:
    tasks = [
        load(200), compute(CONV, 5, 0), load(200), compute(CONV, 5, 2), load(200),
        compute(CONV, 5, 4),
    ]  # fmt: skip
    assert run(*tasks).end_us == pytest.approx(2 + 3 * 5)
    double_buffered = [*tasks[:4], load(200, 1), compute(CONV, 5, 4)]
    assert run(*double_buffered).end_us == pytest.approx(2 + 3 * 5)
    single = [tasks[0], tasks[1], load(200, 1), tasks[3], load(200, 3), tasks[5]]
    assert run(*single).end_us == pytest.approx(3 * (2 + 5))


def test_a_task_without_duration_takes_none() -> None:
    found = run(compute(CONV, 0), compute(TENG, 0, 0))
    assert found.end_us_of == (0, 0)


def test_steps_retire_in_program_order() -> None:
    order: list[str] = []
    made = segment(
        compute(CONV, 10), compute(TENG, 1, step=1), compute(TENG, 1, step=2), load(100, step=2)
    )
    nodes = (("a", "b"), ("c",), ("d",))
    found = simulate(made, len(ENGINES), RATE, order.append, nodes)
    assert order == ["a", "b", "c", "d"]  # c was done at 1, but a and b come first
    assert found == simulate(made, len(ENGINES), RATE)


def test_a_step_retires_with_its_last_task(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str | float] = []

    class Watched(Dram):
        def open(self, transfer: int, size: float, now: float) -> None:
            seen.append(now)
            super().open(transfer, size, now)

    monkeypatch.setattr("axsim.machine.events.Dram", Watched)
    made = segment(
        compute(CONV, 1), compute(CONV, 1),
        compute(CONV, 1, step=1), compute(TENG, 9, step=1),
        compute(CONV, 1, step=2), load(200, 4, step=2),
        compute(CONV, 1.5, step=3), load(200, 6, step=3),
        compute(CONV, 10, step=4), load(100, step=5),
    )  # fmt: skip
    nodes = tuple((name,) for name in "abcdef")
    simulate(made, len(ENGINES), RATE, seen.append, nodes)
    # c is done at 6 and d at 8, but b is not before 9; f is done at 9, but e is not before 15.5
    assert seen == ["a", 4, 6, 8, "b", "c", "d", "e", "f"]


def test_a_program_drains_between_segments() -> None:
    one = segment(compute(CONV, 3), compute(TENG, 5))
    other = segment(compute(CONV, 1))
    found = Npu().run(program([one, other, one], invocation_us=8))
    assert found.offsets_us == (4, 9, 10)
    assert found.duration_us == 4 + 5 + 1 + 5 + 4
    assert found.duration_ms == pytest.approx(0.019)
    slices = list(found.slices())
    assert [(each.start_us, each.end_us) for each in slices] == [
        (4, 7), (4, 9), (9, 10), (10, 13), (10, 15),
    ]  # fmt: skip
    assert [each.segment for each in slices] == [one, one, other, one, one]


@pytest.mark.parametrize("replay", [True, False])
def test_nodes_retire_in_every_repetition(replay: bool) -> None:
    one = segment(compute(CONV, 3), compute(TENG, 5, step=1))
    made = program([one, one, one])
    npu = Npu(replay)
    for _ in range(2):
        order: list[str] = []
        npu.run(made, order.append)
        assert order == [name for steps in made.nodes for nodes in steps for name in nodes]


def test_replay_simulates_a_segment_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from axsim.machine import npu as module

    count = 0
    real = module.simulate

    def counted(*given: object) -> Timing:
        nonlocal count
        count += 1
        return real(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "simulate", counted)
    one = segment(compute(CONV, 3))
    made = program([one, one, one])
    replaying, every = Npu(), Npu(replay=False)
    assert replaying.run(made) == replaying.run(made)
    assert count == 1
    assert every.run(made).timings == replaying.run(made).timings
    assert count == 1 + 3


def test_an_error_in_a_kernel_is_not_swallowed() -> None:
    def fail(name: str) -> None:
        raise RuntimeError(name)

    with pytest.raises(RuntimeError, match=r"0\.0\.a"):
        Npu().run(program([segment(compute(CONV, 3))]), fail)
