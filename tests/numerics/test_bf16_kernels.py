import numpy as np
import pytest

from axsim.graph.builder import GraphBuilder
from axsim.graph.ops import OPERATORS
from axsim.kernels.arithmetic import round_bf16
from axsim.numerics.bf16_kernels import bf16_kernel, function_table, gated_kernel
from axsim.numerics.formats import assign_decoder
from tests.kernels.twins import kind  # noqa: F401  (a fixture)


def bf16(rng, *shape):
    return round_bf16(rng.standard_normal(shape).astype(np.float32))


def graph_of(op, shapes, **attrs):
    b = GraphBuilder("one")
    names = [b.input(f"x{i}", shape) for i, shape in enumerate(shapes)]
    b.node(op, names, name="node", output="y", **attrs)
    return assign_decoder(b.build(["y"]))


CASES = [
    ("Add", [(5, 70), (5, 70)], {}),
    ("Mul", [(5, 70), (5, 70)], {}),
    ("Swish", [(5, 70)], {}),
    ("Gelu", [(5, 70)], {"approximate": "tanh"}),
    ("RMSNormalization", [(5, 70), (70,)], {"axis": -1, "epsilon": 1e-5}),
    ("RMSNormalization", [(5, 3, 16), (16,)], {"axis": -1, "epsilon": 1e-5}),
    ("RotaryEmbedding", [(1, 5, 48), (1, 5, 8), (1, 5, 8)], {"num_heads": 3}),
    (
        "RotaryEmbedding",
        [(1, 5, 48), (1, 5, 4), (1, 5, 4)],
        {"num_heads": 3, "rotary_embedding_dim": 8},
    ),
]


@pytest.mark.parametrize(("op", "shapes", "attrs"), CASES)
@pytest.mark.parametrize("times", [1, 400])
@pytest.mark.usefixtures("kind")
def test_loops_give_the_operators_own_result_rounded(op, shapes, attrs, times):
    """Sums and functions may differ by an ulp of float32, which seldom shows after rounding."""
    shapes = [tuple(n * times if n == 5 else n for n in shape) for shape in shapes]
    graph = graph_of(op, shapes, **attrs)
    rng = np.random.default_rng(3)
    values = [bf16(rng, *shape) for shape in shapes]
    found = bf16_kernel(graph, graph.nodes[0])(*values)
    expected = OPERATORS[op].kernel(*values, **attrs)[0]
    assert found.shape == expected.shape
    assert np.array_equal(round_bf16(found), found)
    assert np.all(np.abs(found - expected) <= np.abs(expected) * 2.0**-8 + 1e-30)
    assert np.mean(found == round_bf16(expected)) > 0.999


def test_a_table_has_every_number():
    table = function_table("Swish", ())
    assert table[0x3F80] == round_bf16(np.float32([1 / (1 + np.exp(-1.0))]))[0]
    assert table[0xC2F0] == pytest.approx(-120 * np.exp(-120.0), abs=1e-30)
    assert table[0x7F80] == np.inf
    assert np.isnan(table[0x7FC0])


def test_what_has_no_loop_is_left_to_the_operators():
    spread = graph_of("Add", [(5, 70), (70,)])
    assert bf16_kernel(spread, spread.nodes[0]) is None
    half = graph_of("Mul", [(5, 70), (5, 70)])
    half = half.with_dtypes(dict.fromkeys(half.tensors, "f16"))
    assert bf16_kernel(half, half.nodes[0]) is None


@pytest.mark.parametrize("rows", [5, 2000])
@pytest.mark.usefixtures("kind")
def test_a_gated_product_has_the_bits_of_its_two_steps(rows):
    b = GraphBuilder("gate")
    x, other = b.input("x", (rows, 300)), b.input("other", (rows, 300))
    gate = b.node("Swish", [x], name="gate")
    b.node("Mul", [gate, other], name="times", output="y")
    graph = assign_decoder(b.build(["y"]))
    values = bf16(np.random.default_rng(1), 2, rows, 300)
    function, times = graph.nodes
    found = gated_kernel(graph, function, times)(*values)
    gated = bf16_kernel(graph, function)(values[0])
    assert np.array_equal(found, bf16_kernel(graph, times)(gated, values[1]))
