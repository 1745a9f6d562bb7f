"""What holds for every program on every chip."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings

from axsim.compiler.lower import lower
from axsim.compiler.partition import Deployment
from axsim.compiler.program import Program
from axsim.graph.ir import Graph
from axsim.machine.npu import Npu
from axsim.machine.timeline import Timeline
from axsim.numerics.formats import Part
from axsim.spec.chip import Chip, load_chip
from axsim.spec.workload import load_workload
from tests.compiler.small import chips, compiled, graphs
from tests.compiler.test_lower import dependencies_hold

EPSILON = 1e-6
"""Microseconds of rounding."""


def check_schedule(timeline: Timeline) -> None:
    """No engine does two things at once or out of order; nothing starts before what it needs."""
    for segment, timing in zip(timeline.program.segments, timeline.timings, strict=True):
        queues: dict[int, list[int]] = {}
        for index, task in enumerate(segment.tasks):
            start, end = timing.start_us[index], timing.end_us_of[index]
            assert 0 <= start <= end <= timing.end_us
            assert end - start >= task.duration_us - EPSILON
            for needed in task.deps:
                assert timing.end_us_of[needed] <= start
            queues.setdefault(task.engine, []).append(index)
        for queue in queues.values():
            for before, after in pairwise(queue):
                assert timing.end_us_of[before] <= timing.start_us[after]
            busy = sum(timing.end_us_of[i] - timing.start_us[i] for i in queue)
            assert busy <= timing.end_us + EPSILON
        assert timing.end_us == pytest.approx(max(timing.end_us_of))
    assert timeline.duration_us == pytest.approx(
        timeline.program.invocation_us + sum(each.end_us for each in timeline.timings)
    )


def check_roofline(timeline: Timeline, graph: Graph, chip: Chip, flag: bool = False) -> None:
    """Not faster than the MACs at the peak rates and the bytes at the whole bandwidth allow."""
    program = timeline.program
    units = Counter(engine.kind for engine in program.engines)
    macs: Counter[str] = Counter()
    for operation in lower(graph, flag).operations:
        macs[operation.unit] += operation.macs
    clock = chip.calibrated.clock_mhz
    assert timeline.duration_us >= macs["conv"] / (units["conv"] * chip.int8_macs_per_cycle * clock)
    teng = units["teng"] * chip.calibrated.teng_macs_per_cycle * clock
    assert timeline.duration_us >= macs["teng"] / teng
    moved = sum(task.dram_bytes for segment in program.segments for task in segment.tasks)
    assert timeline.duration_us >= moved / (chip.sustained_gbps * 1e3) * (1 - 1e-9)
    assert moved >= program.weight_bytes * (1 - 1e-9)


@settings(max_examples=40, deadline=None)
@given(graphs(), chips())
def test_any_program_on_any_chip(case: tuple[Graph, Part], chip: Chip) -> None:
    graph, part = case
    program = compiled(graph, chip, part=part)
    timeline = Npu().run(program)
    check_schedule(timeline)
    check_roofline(timeline, graph, chip)
    assert Npu(replay=False).run(program) == timeline
    dependencies_hold(graph, in_order(program))


def in_order(program: Program) -> list[str]:
    """The graph's nodes in the order in which the program executes them."""
    return [name for steps in program.nodes for nodes in steps for name in nodes]


def shipped_programs() -> list[tuple[str, str]]:
    return [("internvl2_1b", "448-u16"), ("qwen3_0_6b", "256-s4"), ("siglip2_b16", "u8")]


@pytest.mark.parametrize("chip", ["ax630c", "ax650n"])
@pytest.mark.parametrize(("workload", "variant"), shipped_programs())
def test_shipped_programs(workload: str, variant: str, chip: str) -> None:
    board = load_chip(chip)
    deployment = Deployment(load_workload(workload, variant=variant), board)
    subgraphs = [each for each in (deployment.vision, *deployment.prefill) if each is not None]
    if deployment.model.decoder:
        subgraphs += [deployment.decode, deployment.post]
    for subgraph in subgraphs:
        timeline = Npu().run(subgraph.program)
        check_schedule(timeline)
        check_roofline(timeline, subgraph.graph, board)


@pytest.mark.parametrize("chip", ["ax630c", "ax650n"])
def test_replay_is_exact(chip: str) -> None:
    deployment = Deployment(load_workload("internvl2_1b", variant="224-u8"), load_chip(chip))
    assert deployment.vision is not None
    program: Program = deployment.vision.program
    replayed, simulated = (Npu(replay).run(program) for replay in (True, False))
    assert replayed == simulated  # to the last bit
    dependencies_hold(deployment.vision.graph, in_order(program))
