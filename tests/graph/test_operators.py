"""The operator table: each operator is whole in its own file."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from axsim.compiler.lower import is_free
from axsim.graph import ops
from axsim.graph.builder import GraphBuilder
from axsim.graph.onnx_twin import ELEMENT, same
from axsim.graph.operator import Operator, Role
from axsim.graph.ops import OPERATORS
from axsim.numerics.executor import Executor

GATED = [name for name, op in OPERATORS.items() if op.gate is not None]


def test_every_file_of_the_folder_brings_operators_and_their_order_is_that_of_the_files() -> None:
    files = sorted(path.stem for path in Path(ops.__file__).parent.glob("[!_]*.py"))
    assert [name.lower() for name in OPERATORS] == files


def test_an_operator_without_a_role_is_refused_with_the_roles_that_there_are() -> None:
    add = OPERATORS["Add"]
    for role, found in ((None, "no role"), ("vector unit", "role 'vector unit'")):
        with pytest.raises(ValueError, match=f"operator New has {found}; allowed: view, join"):
            Operator("New", add.shape, add.work, add.kernel, role=role)  # type: ignore[arg-type]


def test_every_role_is_some_operator_s() -> None:
    assert {op.role for op in OPERATORS.values()} == set(get_args(Role))


def test_what_moves_or_is_free_computes_nothing() -> None:
    for op in OPERATORS.values():
        if op.only_moves:
            assert op.by_row is False
            wide = "Space" in op.name
            shapes = [(1, 4, 4, 4)] if wide else [(4, 4), (4, 4)][: 2 if op.role == "join" else 1]
            attrs = {
                "Reshape": {"shape": (16,)},
                "Slice": {"starts": [0], "ends": [2]},
                "Split": {"num_outputs": 2},
                "Concat": {"axis": 0},
                "Unsqueeze": {"axes": [0]},
                "DepthToSpace": {"blocksize": 2},
                "SpaceToDepth": {"blocksize": 2},
                "Expand": {"shape": (3, 4, 4)},
                "Tile": {"repeats": (2, 1)},
                "Pad": {"pads": (1, 0, 0, 1)},
            }.get(op.name, {})
            if op.name.startswith("Gather"):
                shapes = [(4, 4), (2,)]
            work = op.work(shapes, op.shape(shapes, attrs), attrs)
            assert work.macs == work.passes == work.transcendentals == 0, op.name


def test_only_the_cast_of_pixels_takes_time_among_the_casts() -> None:
    b = GraphBuilder("casts")
    pixels = b.input("pixels", (4, 4), "u8")
    first = b.node("Cast", [pixels], name="first", to="f32")
    graph = b.build([b.node("Cast", [first], name="second", to="f32")])
    assert [is_free(graph, node) for node in graph.nodes] == [False, True]


def test_operators_that_are_exported_as_they_stand_are_in_operator_set_18() -> None:
    onnx = pytest.importorskip("onnx")
    for op in OPERATORS.values():
        if op.onnx is same:
            assert onnx.defs.get_schema(op.name, 18).name == op.name


def test_static_attributes_are_inputs_of_the_onnx_operator() -> None:
    onnx = pytest.importorskip("onnx")
    for op in OPERATORS.values():
        names = [i.name for i in onnx.defs.get_schema(op.name).inputs]
        assert list(op.static) == names[1 : 1 + len(op.static)], op.name


def test_element_types_are_those_of_onnx() -> None:
    types = pytest.importorskip("onnx").TensorProto
    names = {"f": "FLOAT", "u": "UINT", "s": "INT"}
    for dtype, number in ELEMENT.items():
        bits = dtype[1:]
        name = names.get(dtype[0], "") + (bits if dtype not in ("f32", "bool", "bf16") else "")
        name = {"bool": "BOOL", "bf16": "BFLOAT16"}.get(dtype, name)
        assert types.DataType.Value(name) == number, dtype


@pytest.mark.parametrize("name", GATED)
def test_a_gate_is_the_function_of_its_kernel(name: str) -> None:
    op = OPERATORS[name]
    x = np.linspace(-12, 12, 4001, dtype=np.float32)
    for attrs in ({}, {"approximate": "tanh"}) if name == "Gelu" else ({}, {"alpha": 1.7}):
        assert op.gate is not None
        q = np.polyval(op.gate(attrs)[::-1], x.astype(np.float64) ** 2)
        expected = x / (1 + np.exp(np.clip(-x * q, -700, 700)))
        np.testing.assert_allclose(op.kernel(x, **attrs)[0], expected, atol=2e-6)


def test_functions_after_a_product_run_within_it_with_or_without_a_gate() -> None:
    b = GraphBuilder("tail")
    x = b.input("x", (3, 8))
    y = b.node("Gemm", [x, b.weight("w", (5, 8))], name="product", transB=1)
    graph = b.build([b.node("Swish", [y], name="swish", alpha=0.7)])
    rng = np.random.default_rng(1)
    w, a = rng.standard_normal((5, 8), np.float32), rng.standard_normal((3, 8), np.float32)
    found = Executor(graph, {"w": w}.__getitem__).run_all({"x": a})["swish"]
    np.testing.assert_allclose(found, OPERATORS["Swish"].kernel(a @ w.T, alpha=0.7)[0], atol=1e-6)
