"""Placement: what stays on chip, what spills, and what never exists as a whole."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from axsim.compiler.lower import lower
from axsim.compiler.placement import BAND_ROWS, Placement, _Memory, place
from axsim.graph.builder import GraphBuilder
from axsim.graph.ir import Graph
from axsim.numerics.formats import Part
from tests.compiler.small import DECODER, graphs, layer, tower

ROW = 4 * 8 * 4  # bytes of [4, 8] f32


def placed(graph: Graph, capacity: float) -> Placement:
    return place(lower(graph), capacity)


def three_products() -> Graph:
    """a = x w, b = a w, c = b w + a: a lives to the end."""
    b = GraphBuilder("products")
    weight = b.weight("w", (8, 8))
    x = b.input("x", (4, 8))
    a = b.node("Gemm", [x, weight], name="a")
    c = b.node("Gemm", [b.node("Gemm", [a, weight], name="b"), weight], name="c")
    return b.build([b.node("Add", [c, a], name="end")])


def test_everything_stays_where_there_is_room() -> None:
    found = placed(three_products(), 1e6)
    assert set(found.spilled.values()) == {0.0}
    # x a | a b | a b end; x and b are dropped after their last reader
    assert found.resident == (2 * ROW, 2 * ROW, 3 * ROW)
    assert found.dram_peak == 0


def test_what_does_not_fit_beside_the_rest_spills_its_share() -> None:
    found = placed(three_products(), 2.25 * ROW)
    assert found.spilled == {"x": 0, "a": 0, "b": 0, "end": 0.75}
    assert found.resident[-1] == 2.25 * ROW
    assert found.dram_peak == 0.75 * ROW


def test_a_map_makes_room_of_what_is_needed_last() -> None:
    b = GraphBuilder("products")
    weight = b.weight("w", (8, 8))
    first = b.node("Gemm", [b.input("x", (4, 8)), weight], name="a")
    second = b.node("Gemm", [first, weight], name="b")
    third = b.node("Gemm", [second, weight], name="c")
    last = b.node("Gemm", [b.node("Gemm", [third, weight], name="d"), weight], name="e")
    lowered = lower(b.build([b.node("Add", [last, first], name="end")]))
    own, capacity = {"x", "a", "b", "c", "d", "end"}, 2.25 * ROW
    # c does not fit beside b, which it is made of, and a, which waits for the end
    shares = dict.fromkeys(own, 0)
    assert place(lowered, capacity).spilled == {**shares, "c": 0.75, "end": 0.75}
    found = place(lowered, capacity, maps=own)
    assert found.spilled == {**shares, "a": 0.75}
    assert found.dram_peak == 0.75 * ROW


def test_without_any_room_everything_spills() -> None:
    found = placed(three_products(), 0)
    assert set(found.spilled.values()) == {1.0}
    assert set(found.resident) == {0.0}
    assert found.dram_peak == 3 * ROW


def test_vector_work_takes_the_place_of_what_it_reads_last() -> None:
    b = GraphBuilder("in place")
    weight = b.weight("w", (8, 8))
    a = b.node("Gemm", [b.input("x", (4, 8)), weight], name="a")
    norm = b.node(
        "RMSNormalization", [a, b.weight("scale", (8,))], name="norm", axis=-1, epsilon=1e-6
    )
    s = b.node("Softmax", [b.node("Reshape", [norm], name="v", shape=(8, 4))], name="s", axis=-1)
    end = b.node("Gemm", [b.node("Reshape", [s], name="u", shape=(4, 8)), weight], name="end")
    found = placed(b.build([end]), 2 * ROW)
    assert set(found.spilled.values()) == {0.0}
    # the norm is fused with its product; the softmax, behind a view, takes the norm's place
    assert found.resident == (2 * ROW, ROW, 2 * ROW)


def test_the_gate_of_an_mlp_never_exists_as_a_whole() -> None:
    graph = layer(new=32)
    lowered = lower(graph)
    assert any("mlp.silu" in each.writes for each in lowered.operations)
    capacity = 32 * DECODER.hidden_size * 2 * 2  # two hidden states
    found = place(lowered, capacity)
    assert found.spilled["mlp.silu"] == 0
    assert found.spilled["mlp.mul"] > 0


def test_a_gate_that_is_read_again_exists() -> None:
    b = GraphBuilder("gate")
    x, weight = b.input("x", (4, 8)), b.weight("w", (8, 8))
    gate = b.node("Swish", [b.node("Gemm", [x, weight], name="gate")], name="silu")
    up = b.node("Mul", [gate, b.node("Gemm", [x, weight], name="up")], name="mul")
    once = b.build([b.node("Gemm", [up, weight], name="end")])
    assert placed(once, 0).spilled["silu"] == 0
    b = GraphBuilder("gate")
    x, weight = b.input("x", (4, 8)), b.weight("w", (8, 8))
    gate = b.node("Swish", [b.node("Gemm", [x, weight], name="gate")], name="silu")
    up = b.node("Mul", [gate, b.node("Gemm", [x, weight], name="up")], name="mul")
    end = b.node("Gemm", [up, weight], name="end")
    twice = b.build([b.node("Add", [end, gate], name="again")])
    assert placed(twice, 0).spilled["silu"] == 1


def test_the_vision_scores_exist_in_bands_where_a_band_fits() -> None:
    """16 x 1025 x 1025 scores are 16.8 MB; a band of 64 rows at four bytes a score 0.26 MB."""
    from axsim.models.vision import vision_graph
    from axsim.numerics.formats import VisionScheme, assign
    from tests.models.internvl2 import VISION

    graph = assign(vision_graph(VISION, 448), VisionScheme("u8"))
    band = 4 * BAND_ROWS * 1025
    shares = [placed(graph, size).spilled["layers.1.attn.softmax"] for size in (band, band - 1)]
    assert shares == [0, 1]
    # what does not pass from product to product has to wait in DRAM
    assert placed(graph, 1e6).spilled["layers.1.mlp.gelu"] > 0.5


@settings(max_examples=40, deadline=None)
@given(graphs(), st.floats(0, 300_000))
def test_never_more_than_there_is(case: tuple[Graph, Part], capacity: float) -> None:
    graph, _ = case
    found = placed(graph, capacity)
    assert all(0 <= each <= capacity * (1 + 1e-12) for each in found.resident)
    assert all(0 <= share <= 1 for share in found.spilled.values())
    roomy = placed(graph, 1e12)
    assert set(roomy.spilled.values()) == {0.0}
    assert roomy.dram_peak == 0


def test_a_whole_tower_fits_into_a_megabyte() -> None:
    assert max(placed(tower(), 1e6).resident) < 1e5


def test_what_has_given_up_its_room_is_not_spilled_again(monkeypatch) -> None:
    """A map that all later ones outlive: 100 maps, each read by the next and at the end."""
    b = GraphBuilder("dense")
    weight = b.weight("w", (8, 8))
    names = [b.input("x", (4, 8))]
    for index in range(100):
        names.append(b.node("Gemm", [names[-1], weight], name=f"map{index}"))
    lowered = lower(b.build([b.node("Concat", names[1:], name="end", axis=1)]))
    taken = []
    take = _Memory.take

    def counted(self, name, *args) -> None:
        taken.append(name)
        take(self, name, *args)

    monkeypatch.setattr(_Memory, "take", counted)
    sizes = {name: float(ROW) for name in lowered.graph.tensors}
    found = place(lowered, 3 * ROW, sizes, set(sizes))
    assert sum(share > 0 for share in found.spilled.values()) > 90
    assert len(taken) < 3 * len(names)
