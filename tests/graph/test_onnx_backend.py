"""Every operator type on the ONNX project's own backend node tests."""

import importlib
import pkgutil
import warnings
from collections import defaultdict

import numpy as np
import pytest

from axsim.graph.ops import OPERATORS

onnx = pytest.importorskip("onnx")

# onnx.TensorProto type numbers that Cast knows, by our dtype names.
CAST = {1: "f32", 2: "u8", 3: "s8", 4: "u16", 5: "s16", 6: "s32", 7: "s64", 9: "bool", 10: "f16"}
CAST[12] = "u32"


@pytest.fixture(scope="session")
def cases():
    """Single-node cases by operator."""
    from onnx.backend.test.case import node

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for module in pkgutil.iter_modules(node.__path__):
            if module.name == "lppool":  # computes for three seconds, and LpPool is none of ours
                continue
            importlib.import_module(f"{node.__name__}.{module.name}")
    by_op = defaultdict(dict)
    for case in node._NodeTestCases:
        nodes = case.model.graph.node
        if len(nodes) == 1 and nodes[0].domain == "":
            by_op[nodes[0].op_type][case.name] = case
    return by_op


def array_of(value):
    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else value


def plain(array):
    """Whether numpy itself knows the array's dtype (not float8, int4, bfloat16, strings)."""
    return isinstance(array, np.ndarray) and array.dtype.kind in "biuf"


def arguments(op, node, values):
    attrs = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    attrs = {k: v.decode() if isinstance(v, bytes) else v for k, v in attrs.items()}
    supplied = iter(values)
    inputs = [next(supplied) if name else None for name in node.input]
    static = OPERATORS[op].static
    if static:
        for key, value in zip(static, inputs[1:], strict=False):
            if value is not None:
                attrs[key] = value.tolist()
        inputs = inputs[:1]
    if op == "Split" and not {"split", "num_outputs"} & attrs.keys():
        attrs["num_outputs"] = len(node.output)
    if op == "MaxPool" and len(node.output) > 1:
        attrs["indices"] = True
    if op == "Cast":
        attrs = {"to": CAST.get(attrs["to"])}
    return inputs, attrs


@pytest.mark.parametrize("op", sorted(OPERATORS))
def test_node_cases(cases, op):
    ran = 0
    for name, case in cases[op].items():
        node = case.model.graph.node[0]
        for values, expected in case.data_sets:
            values, expected = [*map(array_of, values)], [*map(array_of, expected)]
            if not all(map(plain, [*values, *expected])):
                continue
            inputs, attrs = arguments(op, node, values)
            if op == "Cast" and attrs["to"] is None:
                continue
            if attrs.get("training_mode"):  # refused: see the operator
                continue
            outputs = [i for i, o in enumerate(node.output) if o]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                got = OPERATORS[op].kernel(*inputs, **attrs)
            shapes = OPERATORS[op].shape([i.shape for i in inputs if i is not None], attrs)
            for i, want in zip(outputs, expected, strict=True):
                assert shapes[i] == want.shape, name
                assert got[i].dtype == want.dtype, name
                np.testing.assert_allclose(
                    got[i], want, rtol=case.rtol, atol=case.atol, err_msg=name
                )
            ran += 1
    assert ran > 0, f"no backend node test of {op} could run"
