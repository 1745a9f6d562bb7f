"""Tiling: engines, bytes conserved over tiles and groups, double buffering, prefetch."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import axsim
from axsim.compiler.emit import TILE_BYTES
from axsim.compiler.lower import Operation
from axsim.compiler.plan import Piece, Traffic
from axsim.compiler.program import Task
from axsim.compiler.tiling import FUSED_TILES, MAX_TILES, Shape, Tiled, engines, tile
from axsim.spec.chip import load_chip
from tests.compiler.small import by_label, chips, layer

AX650N = load_chip("ax650n")
AX630C = load_chip("ax630c")
ONE, TWO = Shape.of(AX650N, 1), Shape.of(AX650N, 2)
MATRIX_US, VECTOR_US, ISSUE_US = 64.0, 16.0, 1.0
OPERATIONS = by_label(layer(cached=16))
DECODE = by_label(layer(new=1, cached=16))
PLAIN = DECODE["attn.q_proj"]  # a projection without vector work
FUSED = OPERATIONS["mlp.gate_proj"]  # one whose results go through SiLU
VECTOR = OPERATIONS["post_attention_layernorm"]
MIB = 1 << 20


def tiled(
    traffic: Traffic,
    operation=PLAIN,  # type: ignore[no-untyped-def]
    groups: int = 1,
    buffer: float = 8 * MIB,
) -> tuple[Task, ...]:
    return tasks_of(Shape.of(AX650N, groups), buffer, (operation, traffic))


def tasks_of(
    shape: Shape,
    buffer: float,
    *steps: tuple[Operation, Traffic],
    preloaded: float = 0,
    following: float = 0,
) -> tuple[Task, ...]:
    """Tasks of a segment of these steps, each of which leaves ``buffer`` bytes to weights."""
    operations, traffic = zip(*steps, strict=True)
    count = len(steps)
    buffers, resident = (buffer,) * count, (0.0,) * count
    piece = Piece("layer", operations, (), traffic, buffers, resident, preloaded, following)
    return timed(tile(piece, shape))


def timed(tiled: Tiled) -> tuple[Task, ...]:
    """Tasks of steps that all take the same."""
    shares = [(MATRIX_US / tiles, VECTOR_US / tiles) for tiles in tiled.tiles]
    durations = [us for m, v in shares for us in (m, v, m + ISSUE_US, v + ISSUE_US)]
    return tiled.tiling.tasks([*durations, 0.0])


def moved(tasks: tuple[Task, ...]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for task in tasks:
        total[task.kind] += task.dram_bytes
    return {kind: size for kind, size in total.items() if size}


def of(tasks: tuple[Task, ...], *kinds: str) -> list[Task]:
    return [task for task in tasks if task.kind in kinds]


def test_engines_are_named_as_in_the_vendors_traces() -> None:
    # conv0, conv1, teng2, cv3, sdma4; a channel has a queue for reads and one for writes
    one = ["conv0", "conv1", "teng2", "sdma4.rd", "sdma4.wr"]
    assert [each.name for each in engines(ONE)] == one
    assert [each.name for each in engines(Shape.of(AX630C, 1))] == [
        "conv0", "teng1", "sdma3.rd", "sdma3.wr",
    ]  # fmt: skip
    three = engines(Shape.of(AX650N, 3))
    assert [each.name for each in three[5:10]] == [
        "conv5",
        "conv6",
        "teng7",
        "sdma9.rd",
        "sdma9.wr",
    ]
    assert len({each.name for each in three}) == len(three) == 15
    assert Counter(each.kind for each in three) == {"conv": 6, "teng": 3, "sdma": 6}
    assert Counter(each.group for each in three) == {0: 5, 1: 5, 2: 5}


@pytest.mark.parametrize("groups", [1, 2, 3])
def test_work_is_shared_evenly_by_groups_and_units(groups: int) -> None:
    tasks = tiled(Traffic(weights=6 * MIB), groups=groups)
    busy: Counter[str] = Counter()
    read: Counter[str] = Counter()
    names = [each.name for each in engines(Shape.of(AX650N, groups))]
    for task in tasks:
        busy[names[task.engine]] += task.duration_us
        read[names[task.engine]] += task.dram_bytes
    conv = [busy[name] for name in names if name.startswith("conv")]
    assert len(conv) == 2 * groups
    assert conv == pytest.approx([conv[0]] * len(conv))
    loads = [read[name] for name in names if name.endswith(".rd")]
    assert loads == pytest.approx([6 * MIB / groups] * groups)


def test_weights_come_in_tiles_of_half_a_mebibyte() -> None:
    loads = of(tiled(Traffic(weights=4 * MIB)), "ld:param")
    assert [task.dram_bytes for task in loads] == [TILE_BYTES] * 8
    shared = of(tiled(Traffic(weights=4 * MIB), groups=2), "ld:param")
    assert [task.dram_bytes for task in shared] == [TILE_BYTES] * 8
    assert Counter(task.engine for task in shared) == {3: 4, 8: 4}


def test_a_small_buffer_makes_small_tiles_but_not_endlessly_many() -> None:
    loads = of(tiled(Traffic(weights=4 * MIB), buffer=MIB), "ld:param")
    assert [task.dram_bytes for task in loads] == [MIB / 4] * 16
    assert len(of(tiled(Traffic(weights=4 * MIB), buffer=1000), "ld:param")) == MAX_TILES


def test_tiles_compute_as_long_together_as_the_whole() -> None:
    few = of(tiled(Traffic(weights=MIB)), "compute")
    many = of(tiled(Traffic(weights=8 * MIB)), "compute")
    assert len(few) == 2 * 2
    assert len(many) == 2 * 16
    total = [sum(task.duration_us for task in tasks) for tasks in (few, many)]
    assert total == pytest.approx([2 * (MATRIX_US + ISSUE_US)] * 2)


def test_an_operator_is_issued_once_on_each_unit() -> None:
    tasks = of(tiled(Traffic(weights=4 * MIB)), "compute")
    share = MATRIX_US / 8
    assert [task.duration_us for task in tasks] == [share + ISSUE_US] * 2 + [share] * 14
    fused = of(tiled(Traffic(), operation=FUSED), "compute")
    matrix, vector = MATRIX_US / FUSED_TILES, VECTOR_US / FUSED_TILES
    expected = [matrix + ISSUE_US] * 2 + [vector] + [matrix, matrix, vector] * (FUSED_TILES - 1)
    assert [task.duration_us for task in fused] == expected


def test_inputs_are_loaded_two_tiles_ahead() -> None:
    tasks = tiled(Traffic(inputs=4 * MIB), operation=VECTOR)
    loads = [index for index, task in enumerate(tasks) if task.kind == "ld:input"]
    computes = [index for index, task in enumerate(tasks) if task.kind == "compute"]
    assert len(loads) == len(computes) == 8
    assert [tasks[index].deps for index in loads[:2]] == [(), ()]
    assert [tasks[index].deps for index in loads[2:]] == [(each,) for each in computes[:-2]]
    assert [tasks[index].deps for index in computes] == [(each,) for each in loads]


def test_weights_wait_until_the_buffer_has_room() -> None:
    tasks = tiled(Traffic(weights=8 * MIB), buffer=2 * MIB)  # four tiles of half a mebibyte
    loads = of(tasks, "ld:param")
    computes = [index for index, task in enumerate(tasks) if task.kind == "compute"]
    tiles = [tuple(computes[i : i + 2]) for i in range(0, len(computes), 2)]
    assert [task.deps for task in loads] == [()] * 4 + tiles[: len(loads) - 4]


def test_weights_of_float_products_of_many_rows_are_loaded_in_turn() -> None:
    """The second tile's load waits for the products of the first, not for its vector work."""
    tasks = tiled(Traffic(weights=2 * MIB), operation=FUSED)
    assert FUSED.loads_in_turn
    loads = [task for task in tasks if task.kind == "ld:param"]
    products = [i for i, task in enumerate(tasks) if task.kind == "compute" and task.engine < 2]
    tiles = [tuple(products[i : i + 2]) for i in range(0, len(products), 2)]
    assert [task.deps for task in loads] == [(), *tiles[: len(loads) - 1]]


def test_the_first_of_weights_in_turn_come_with_the_inputs() -> None:
    reader = replace(FUSED, reads=list(VECTOR.writes))
    tasks = tasks_of(ONE, 8 * MIB, (VECTOR, Traffic()), (reader, Traffic(weights=MIB)))
    norm = [i for i, task in enumerate(tasks) if task.step == 0]
    first = next(task for task in tasks if task.kind == "ld:param")
    assert set(first.deps) == set(norm)


def test_vector_work_takes_over_tile_by_tile() -> None:
    tasks = tiled(Traffic(), operation=FUSED)
    assert [task.engine for task in tasks] == [0, 1, 2] * FUSED_TILES
    assert [task.deps for task in tasks if task.engine == 2] == [(0, 1), (3, 4), (6, 7), (9, 10)]


def test_float_attention_and_its_softmax_share_the_vector_unit() -> None:
    tasks = tiled(Traffic(), operation=OPERATIONS["attn.scores"])
    assert {task.engine for task in tasks} == {2}
    assert len(tasks) == 2 * FUSED_TILES


def test_results_are_stored_after_their_tile_and_outputs_are_not_swaps() -> None:
    tasks = tiled(Traffic(swap_in=MIB, swap_out=MIB, outputs=MIB), operation=VECTOR)
    assert moved(tasks) == {"ld:ddr_swap": MIB, "st:ddr_swap": MIB, "st:output": MIB}
    names = [each.name for each in engines(ONE)]
    for index, task in enumerate(tasks):
        if task.kind.startswith("st:"):
            assert names[task.engine] == "sdma4.wr"
            assert [tasks[each].kind for each in task.deps] == ["compute"]
            assert max(task.deps) < index
        elif task.kind.startswith("ld:"):
            assert names[task.engine] == "sdma4.rd"


def test_spills_and_rows_take_more_than_their_share_of_the_bandwidth() -> None:
    tasks = tiled(Traffic(weights=MIB, inputs=MIB, swap_in=MIB), operation=VECTOR)
    cost = {task.kind: task.dram_cost_bytes / task.dram_bytes for task in tasks if task.dram_bytes}
    assert cost == {
        "ld:param": 1,
        "ld:input": pytest.approx(1 / AX650N.dram.row_tile_efficiency),
        "ld:ddr_swap": pytest.approx(1 / AX650N.calibrated.swap_efficiency),
    }


def test_an_operation_waits_for_what_it_reads_on_every_engine() -> None:
    gate, up = OPERATIONS["mlp.gate_proj"], OPERATIONS["mlp.up_proj"]
    tasks = tasks_of(TWO, MIB, (gate, Traffic()), (up, Traffic()))
    last = {
        task.engine: i for i, task in enumerate(tasks) if task.step == 0 and task.engine in (2, 7)
    }
    firsts = [task for task in tasks if task.step == 1][:1]
    assert set(last.values()) <= set(firsts[0].deps)


def test_spilled_results_are_read_back_after_they_were_stored() -> None:
    up, down = OPERATIONS["mlp.up_proj"], OPERATIONS["mlp.down_proj"]
    tasks = tasks_of(TWO, MIB, (up, Traffic(swap_out=MIB)), (down, Traffic(swap_in=MIB)))
    stores = [i for i, task in enumerate(tasks) if task.kind == "st:ddr_swap"]
    last = {tasks[i].engine: i for i in stores}
    for task in of(tasks, "ld:ddr_swap"):
        assert set(last.values()) <= set(task.deps)


def test_the_head_of_the_next_segment_is_loaded_behind_this_ones_weights() -> None:
    tasks = tasks_of(TWO, 4 * MIB, (PLAIN, Traffic(weights=2 * MIB)), following=1.5 * MIB)
    loads = of(tasks, "ld:param")
    assert moved(tasks)["ld:param"] == 3.5 * MIB
    assert [task.dram_bytes for task in loads[-4:]] == [MIB / 2, MIB / 4] * 2
    assert tasks[-4:] == tuple(loads[-4:])


def test_what_was_preloaded_is_not_loaded_again() -> None:
    tasks = tasks_of(TWO, 4 * MIB, (PLAIN, Traffic(weights=2 * MIB)), preloaded=1.5 * MIB)
    loads = of(tasks, "ld:param")
    assert [task.dram_bytes for task in loads] == [MIB / 4] * 2


@settings(max_examples=60, deadline=None)
@given(
    chips(),
    st.lists(
        st.tuples(st.sampled_from([PLAIN, FUSED, VECTOR]), *[st.integers(0, 20_000_000)] * 5),
        min_size=1,
        max_size=4,
    ),
    st.floats(1_000, 10_000_000),
    st.floats(0, 1),
    st.integers(0, 3_000_000),
)
def test_every_byte_moves_once(chip, steps, buffer, share, following) -> None:  # type: ignore[no-untyped-def]
    weights = sum(each[1] for each in steps)
    preloaded = share * weights
    shape = Shape.of(chip, chip.npu.resource_groups)
    pairs = [(operation, Traffic(*sizes)) for operation, *sizes in steps]
    tasks = tasks_of(shape, buffer, *pairs, preloaded=preloaded, following=following)
    expected = dict(
        zip(
            ("ld:input", "ld:ddr_swap", "st:ddr_swap", "st:output"),
            (sum(each[i] for each in steps) for i in range(2, 6)),
            strict=True,
        )
    )
    expected["ld:param"] = weights - preloaded + following
    found = moved(tasks)
    for kind, size in expected.items():
        assert found.get(kind, 0) == pytest.approx(size, rel=1e-9, abs=1e-3), kind
    for index, task in enumerate(tasks):
        assert all(0 <= each < index for each in task.deps)
        assert task.dram_cost_bytes >= task.dram_bytes >= 0


@pytest.mark.parametrize("chip", ["ax630c", "ax620q"])
@pytest.mark.parametrize("workload", ["qwen3_0_6b", "internvl2_1b"])
def test_half_of_the_memory_is_never_faster(chip: str, workload: str) -> None:
    """Tiles of a mode with half of it are as large as those of the mode with all of it."""
    half, whole = (
        axsim.run(workload, chip, overrides={"build.npu_mode": mode}, timing_only=True)[0]
        for mode in ("NPU1", "NPU2")
    )
    for a, b in zip(half.breakdown, whole.breakdown, strict=True):
        assert a.ms >= b.ms * (1 - 1e-9), a.name
