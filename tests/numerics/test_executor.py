"""The executor: order, liveness, errors."""

import numpy as np
import pytest

from axsim.graph.builder import GraphBuilder
from axsim.numerics.executor import Executor


def small():
    b = GraphBuilder("small")
    x = b.input("x", (2, 3))
    h = b.node("Gemm", [x, b.weight("w", (4, 3))], name="project", transB=1)
    h = b.node("Transpose", [h], name="turn", perm=(1, 0))
    return b.build([b.node("Add", [h, h], name="y")])


W = np.arange(12, dtype=np.float32).reshape(4, 3)
X = np.ones((2, 3), np.float32)


def test_run_all():
    out = Executor(small(), {"w": W}.__getitem__).run_all({"x": X})
    np.testing.assert_array_equal(out["y"], 2 * (X @ W.T).T)


def test_node_by_node_frees_after_last_use():
    executor = Executor(small(), {"w": W}.__getitem__)
    executor.feed({"x": X})
    executor.execute("project")
    assert set(executor._values) == {"project"}
    executor.execute("turn")
    assert set(executor._values) == {"turn"}
    with pytest.raises(KeyError):
        executor.fetch("y")
    executor.execute("y")
    assert set(executor._values) == {"y"}


def test_kept_values_can_be_fetched():
    executor = Executor(small(), {"w": W}.__getitem__, keep=["project"])
    executor.run_all({"x": X})
    np.testing.assert_array_equal(executor.fetch("project"), X @ W.T)


def test_runs_again_with_other_inputs():
    executor = Executor(small(), {"w": W}.__getitem__)
    first = executor.run_all({"x": X})["y"]
    executor.run_all({"x": 2 * X})
    np.testing.assert_array_equal(executor.run_all({"x": X})["y"], first)


def test_a_node_before_its_producer_is_refused():
    executor = Executor(small(), {"w": W}.__getitem__)
    executor.feed({"x": X})
    with pytest.raises(RuntimeError, match="project is used before it is made"):
        executor.execute("turn")


@pytest.mark.parametrize(
    "inputs", [{}, {"x": X, "z": X}, {"x": X.T}], ids=["missing", "unknown", "shape"]
)
def test_wrong_feeds_are_refused(inputs):
    with pytest.raises(ValueError, match="graph small"):
        Executor(small(), {"w": W}.__getitem__).feed(inputs)


def test_unknown_kept_tensor_is_refused():
    with pytest.raises(KeyError, match="nowhere"):
        Executor(small(), {"w": W}.__getitem__, keep=["nowhere"])


def test_builder_refuses_wrong_shapes_and_duplicates():
    b = GraphBuilder("bad")
    x = b.input("x", (2, 3))
    with pytest.raises(ValueError, match="node sum: shapes"):
        b.node("Add", [x, b.weight("w", (2,))], name="sum")
    b.node("Add", [x, x], name="sum")
    with pytest.raises(ValueError, match="node sum is there twice"):
        b.node("Add", [x, x], name="sum", output="again")
    with pytest.raises(ValueError, match="tensor x is there twice"):
        b.input("x", (1,))
