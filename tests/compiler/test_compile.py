"""Programs: segments that repeat, bytes that are conserved, nodes that are all there."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.compiler.compile import compile_graph, compile_lowered
from axsim.compiler.cost import unit_us
from axsim.compiler.lower import lower
from axsim.compiler.placement import place
from axsim.compiler.plan import WEIGHT_SHARE, plan
from axsim.compiler.program import Program
from axsim.compiler.tiling import tile
from axsim.graph.ir import Graph
from axsim.models.vision import vision_graph
from axsim.numerics.formats import Part, VisionScheme, assign, stored_bytes
from axsim.spec.chip import Chip, load_chip
from tests.compiler.small import chips, compiled, graphs, layer, tower
from tests.models.internvl2 import PROJECTOR, VISION

AX630C, AX650N = load_chip("ax630c"), load_chip("ax650n")


def moved(program: Program) -> Counter[str]:
    total: Counter[str] = Counter()
    for segment in program.segments:
        for task in segment.tasks:
            total[task.kind] += task.dram_bytes  # type: ignore[assignment]
    return total


@pytest.mark.parametrize("chip", [AX630C, AX650N], ids=lambda chip: chip.name)
@pytest.mark.parametrize("size", [224, 448])
def test_equal_layers_share_one_segment(chip: Chip, size: int) -> None:
    graph = assign(vision_graph(VISION, size, PROJECTOR), VisionScheme("u8"))
    segments = compiled(graph, chip, part="vision").segments
    layers = [segment for segment in segments if segment.name == "layer"]
    assert len(layers) == 24
    # the first one's input was placed beside the embedding, and may be spilled otherwise
    assert len(set(layers[1:])) == 1
    assert segments.index(layers[0]) + 24 == len(segments) - 1  # the projector follows


def test_a_bare_towers_last_layer_has_nothing_to_load_ahead() -> None:
    graph = assign(vision_graph(VISION, 224), VisionScheme("u8"))
    layers = [each for each in compiled(graph, AX650N).segments if each.name == "layer"]
    assert len(set(layers[:-1])) == 1
    assert layers[-1] is not layers[0]
    last, first = (
        sum(task.dram_bytes for task in each.tasks if task.kind == "ld:param")
        for each in (layers[-1], layers[0])
    )
    assert last < first  # its own weights without the head of another layer's


def test_segments_pass_the_head_of_their_weights_on() -> None:
    program = compiled(tower(), AX650N, part="vision")
    reserve = WEIGHT_SHARE * AX650N.ocm_bytes
    layers = [each for each in program.segments if each.name == "layer"]
    loaded = [sum(t.dram_bytes for t in each.tasks if t.kind == "ld:param") for each in layers]
    # small layers: all weights of the next one come during this one
    assert max(loaded) < reserve
    assert sum(moved(program).values()) > 0
    assert moved(program)["ld:param"] == pytest.approx(program.weight_bytes, rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(graphs(), chips(), st.booleans())
def test_dram_moves_weights_inputs_outputs_and_spills(
    case: tuple[Graph, Part], chip: Chip, flag: bool
) -> None:
    graph, part = case
    mode = chip.mode(chip.default_mode)
    program = compile_graph(graph, chip, mode, part=part, float_matmul_on_conv=flag)
    lowered = lower(graph, flag)
    capacity = mode.ocm_bytes * (1 - WEIGHT_SHARE)
    spilled = place(lowered, capacity).spilled
    size = {name: lowered.bytes(name) for name in spilled}
    inputs = {name for name in spilled if graph.tensors[name].kind == "input"}
    made = [name for each in lowered.operations for name in each.writes]
    kept = {name: round(share * size[name]) for name, share in spilled.items()}
    again: Counter[str] = Counter()  # how much of each is read back
    seen: set[str] = set()
    for each in lowered.operations:
        for name in each.reads:
            if name in seen or name not in inputs:
                again[name] += each.shares[name]  # type: ignore[assignment]
            seen.add(name)
    expected = {
        "ld:param": sum(stored_bytes(t, part) for op in lowered.operations for t in op.weights),
        "ld:input": sum(size[name] for name in inputs),
        "st:output": sum(lowered.outputs.values()),
        # spilled once, read back by every reader as far as its view shows it; an input is in DRAM
        # already, and read whole once
        "st:ddr_swap": sum(kept[name] for name in made if name not in lowered.outputs),
        "ld:ddr_swap": sum(kept[name] * again[name] for name in spilled),
    }  # fmt: skip
    found = moved(program)
    for kind, total in expected.items():
        assert found[kind] == pytest.approx(total, rel=1e-6, abs=len(spilled)), kind
    assert program.weight_bytes == expected["ld:param"]


@settings(max_examples=30, deadline=None)
@given(graphs(), chips())
def test_every_node_of_the_graph_is_in_one_step(case: tuple[Graph, Part], chip: Chip) -> None:
    graph, part = case
    program = compiled(graph, chip, part=part)
    assert len(program.segments) == len(program.nodes)
    names = [name for steps in program.nodes for nodes in steps for name in nodes]
    assert Counter(names) == Counter(node.name for node in graph.nodes)
    for segment, steps in zip(program.segments, program.nodes, strict=True):
        assert len(segment.steps) == len(steps) == len(segment.ocm_bytes)
        used = {task.step for task in segment.tasks if task.kind == "compute"}
        assert used == set(range(len(steps)))  # a step without a task would never retire
        assert {task.engine for task in segment.tasks} <= set(range(len(program.engines)))
        assert max(segment.ocm_bytes) <= (1 - WEIGHT_SHARE) * chip.ocm_bytes * (1 + 1e-12)


def test_modes_have_their_groups_engines() -> None:
    counts = {mode: len(compiled(layer(), AX650N, mode).engines) for mode in AX650N.modes}
    assert counts == {"NPU1": 5, "NPU2": 10, "NPU3": 15}


def test_fixed_costs_and_rates_of_a_program() -> None:
    program = compiled(layer(), AX650N)
    assert program.invocation_us == pytest.approx(25_000 / AX650N.calibrated.clock_mhz)
    assert program.dram_bytes_per_us == pytest.approx(34_128 * AX650N.calibrated.dram_efficiency)
    graph = layer(cached=100)
    io = sum(graph.tensors[name].bytes for name in (*graph.inputs, *graph.outputs))
    assert compiled(graph, AX650N).activation_bytes == io  # nothing spills
    tight = load_chip("ax650n", {"npu.ocm_bytes": 10_000})
    assert compiled(graph, tight).activation_bytes > io


def test_the_flag_moves_float_attention_to_conv() -> None:
    graph = layer(new=32)
    usage = []
    for flag in (False, True):
        program = compiled(graph, AX650N, float_matmul_on_conv=flag)
        busy: Counter[str] = Counter()
        for segment in program.segments:
            for task in segment.tasks:
                label = segment.steps[task.step].label
                if task.kind == "compute" and label == "attn.context":
                    busy[program.engines[task.engine].kind] += 1
        usage.append(set(busy))
    assert usage == [{"teng"}, {"conv"}]


@settings(max_examples=30, deadline=None)
@given(graphs(), chips())
def test_units_are_busy_for_what_the_cost_says(case: tuple[Graph, Part], chip: Chip) -> None:
    graph, part = case
    program = compiled(graph, chip, part=part)
    operations = iter(lower(graph).operations)
    for segment in program.segments:
        busy: Counter[tuple[int, str]] = Counter()
        for task in segment.tasks:
            if task.kind == "compute":
                busy[task.step, program.engines[task.engine].name] += task.duration_us  # type: ignore[assignment]
        for step in range(len(segment.steps)):
            operation = next(operations)
            matrix, vector = unit_us(chip, chip.npu.resource_groups, operation)
            expected: Counter[str] = Counter()
            for engine in program.engines:
                if engine.kind == operation.unit:
                    expected[engine.name] += matrix  # type: ignore[assignment]
                if engine.kind == "teng":
                    expected[engine.name] += vector  # type: ignore[assignment]
            first = operation.unit if matrix else "teng"
            for engine in program.engines:
                issue = chip.npu.step_us if engine.kind == first else 0.0
                found = busy[step, engine.name]
                assert found == pytest.approx(expected[engine.name] + issue)
    assert next(operations, None) is None


def test_chips_that_differ_in_rates_share_a_plan_but_no_durations() -> None:
    lowered = lower(tower("u16"))
    chips = [load_chip("ax650n", {"calibrated.clock_mhz": clock}) for clock in (900, 450)]
    modes = [chip.mode("NPU3") for chip in chips]
    assert plan(lowered, "vision", modes[0].ocm_bytes) is plan(
        lowered, "vision", modes[1].ocm_bytes
    )
    fast, slow = (
        compile_lowered(lowered, chip, mode, "vision")
        for chip, mode in zip(chips, modes, strict=True)
    )
    tasks = [[task for each in program.segments for task in each.tasks] for program in (fast, slow)]
    for a, b in zip(*tasks, strict=True):
        assert b.duration_us > a.duration_us or a.kind != "compute"
    assert [task._replace(duration_us=0.0) for task in tasks[0]] == [
        task._replace(duration_us=0.0) for task in tasks[1]
    ]


@pytest.mark.parametrize(
    "key",
    ["npu.resource_groups", "npu.conv_per_group", "npu.ocm_bytes", "npu.step_us",
     "dram.row_tile_efficiency", "dram.data_rate_mtps", "calibrated.swap_efficiency",
     "calibrated.clock_mhz"],
)  # fmt: skip
def test_what_other_chips_left_behind_changes_nothing(key: str) -> None:
    values = {"npu.resource_groups": (1, 2), "npu.conv_per_group": (1, 3), "npu.step_us": (0, 2),
              "npu.ocm_bytes": (3_000, 9_000), "dram.data_rate_mtps": (500, 900),
              "calibrated.clock_mhz": (500, 900)}.get(key, (0.3, 0.9))  # fmt: skip
    lowered = lower(tower())
    base = {"npu.ocm_bytes": 5_000, "npu.resource_groups": 1}
    both = [load_chip("ax650n", {**base, key: value}) for value in values]
    warm = [compile_lowered(lowered, each, each.mode("NPU1"), "vision") for each in both]
    assert warm[0].segments[0].tasks != warm[1].segments[0].tasks or key == "dram.data_rate_mtps"
    for chip, program in zip(both, warm, strict=True):
        plan.cache_clear()
        tile.cache_clear()
        cold = compile_lowered(lowered, chip, chip.mode("NPU1"), "vision")
        assert [each.tasks for each in cold.segments] == [each.tasks for each in program.segments]
        assert cold.dram_bytes_per_us == program.dram_bytes_per_us


def test_compiling_twice_gives_the_same_program() -> None:
    first, second = (compiled(tower("u16"), AX650N, part="vision") for _ in range(2))
    assert [each.tasks for each in first.segments] == [each.tasks for each in second.segments]
    assert math.isfinite(sum(task.duration_us for task in first.segments[-1].tasks))
