"""The graph of a network as JSON: nodes, tensors and attributes; constants are arrays."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, get_args

import numpy as np

from axsim.axmodel.archive import Archive, Writer
from axsim.graph.ir import DTYPE_BITS, Graph, Node, Tensor, TensorKind
from axsim.graph.ops import OPERATORS
from axsim.kernels.array import Array

BROKEN = (KeyError, TypeError, ValueError, AttributeError, IndexError, ArithmeticError)
"""What reading or compiling a graph raises that no build made."""
_KINDS = get_args(TensorKind)


def described(graph: Graph, writer: Writer) -> dict[str, Any]:
    """The graph; its constants are written."""
    return {
        "name": graph.name,
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
        "tensors": {
            name: [list(tensor.shape), tensor.dtype, tensor.kind]
            for name, tensor in graph.tensors.items()
        },
        "nodes": [
            {
                "name": node.name,
                "op": node.op,
                "inputs": list(node.inputs),
                "outputs": list(node.outputs),
                "attrs": {key: _described(value) for key, value in node.attrs.items()},
            }
            for node in graph.nodes
        ],
        "constants": {
            name: writer.add(np.asarray(value())) for name, value in graph.values.items()
        },
    }


def read(document: Mapping[str, Any], archive: Archive) -> Graph:
    """The graph of a description; InputError when it is none."""
    try:
        tensors = {
            name: Tensor(name, tuple(map(int, shape)), dtype, kind)
            for name, (shape, dtype, kind) in document["tensors"].items()
        }
        nodes = tuple(
            Node(
                node["name"],
                node["op"],
                tuple(node["inputs"]),
                tuple(node["outputs"]),
                {key: _value(value) for key, value in node["attrs"].items()},
            )
            for node in document["nodes"]
        )
        constants = {name: archive.array(entry) for name, entry in document["constants"].items()}
        inputs, outputs = tuple(document["inputs"]), tuple(document["outputs"])
        named = {*inputs, *outputs, *(n for node in nodes for n in (*node.inputs, *node.outputs))}
        _check(tensors, nodes, constants, named, set(inputs), set(outputs))
        if not outputs:
            raise ValueError("it has no outputs")
        name = str(document["name"])
    except BROKEN as error:
        raise archive.fault(f"has a graph that cannot be read: {error}; build it again") from None
    values = {name: partial(_itself, array) for name, array in constants.items()}
    return Graph(name, tensors, nodes, inputs, outputs, values)


def _check(
    tensors: Mapping[str, Tensor],
    nodes: tuple[Node, ...],
    constants: Mapping[str, Array],
    named: set[str],
    inputs: set[str],
    outputs: set[str],
) -> None:
    """ValueError for a graph that speaks of what there is not."""
    unknown = sorted(named - tensors.keys() - {""})
    if unknown:
        raise ValueError(f"no tensor {unknown[0]!r}")
    strange = [node.op for node in nodes if node.op not in OPERATORS]
    strange += [tensor.dtype for tensor in tensors.values() if tensor.dtype not in DTYPE_BITS]
    strange += [tensor.kind for tensor in tensors.values() if tensor.kind not in _KINDS]
    if strange:
        raise ValueError(f"unknown operator, dtype or kind {strange[0]!r}")
    for name, array in constants.items():
        if tensors[name].shape != array.shape:
            raise ValueError(f"the constant {name!r} is {list(array.shape)}")
    there = {name for name, tensor in tensors.items() if tensor.kind == "weight"}
    there |= inputs | constants.keys()
    for node in nodes:
        missing = [name for name in node.inputs if name and name not in there]
        if missing:
            raise ValueError(f"{node.name!r} takes {missing[0]!r}, which nobody makes before")
        if all(node.inputs):
            shapes = [tensors[name].shape for name in node.inputs]
            made = OPERATORS[node.op].shape(shapes, node.attrs)[: len(node.outputs)]
            if [tuple(each) for each in made] != [tensors[name].shape for name in node.outputs]:
                raise ValueError(f"{node.name!r} makes other shapes than its tensors have")
        there.update(node.outputs)
    if not outputs <= there:
        raise ValueError(f"nobody makes the output {min(outputs - there)!r}")


def _described(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return {"dtype": value.dtype.name, "values": value.tolist()}
    return list(value) if isinstance(value, tuple) else value


def _value(value: Any) -> Any:
    if isinstance(value, dict):
        return np.array(value["values"], np.dtype(value["dtype"]))
    return tuple(value) if isinstance(value, list) else value


def _itself(array: Array) -> Array:
    return array
