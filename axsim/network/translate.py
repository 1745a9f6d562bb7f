"""ONNX nodes to nodes of our graphs, one by one, with everything constant folded on the way.

A tensor of the ONNX graph is one of three: an *activation*, made by a node of our graph; a
*constant*, an array at hand, such as shapes and what is computed from them; or a *weight*, an
initialiser or what is computed from initialisers, of which only the shape is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from axsim.graph.ir import Graph, Node, Tensor
from axsim.graph.ops import OPERATORS
from axsim.kernels.array import Array
from axsim.network import protobuf
from axsim.network.attributes import (
    DTYPES,
    Attrs,
    as_attribute,
    attributes,
    normalise,
    static_inputs,
)
from axsim.network.folding import ARITHMETIC, can_fold, fold
from axsim.network.network import Derived, Network, Stored
from axsim.network.refusals import Refusal, refused

Shape = tuple[int, ...]

MOST_ELEMENTS = 10**10
"""Of a tensor: more than the memory of any board has bytes."""

_SMALL = 1024
"""Elements up to which an array of integers is part of the graph."""
_ALIASES = frozenset({"Identity", "Dropout"})
_OF_TWO = frozenset({"Add", "Sub", "Mul", "Div", "Pow"})
_INTEGERS = {"b": "bool", "i": "s64", "u": "u8", "f": "f32"}
_OF_INTEGERS = frozenset({"ArgMax", "ArgMin"})
_INDEXED = frozenset({"Gather", "GatherElements", "GatherND", "ScatterND"})
_OF_TRUTH = frozenset({"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not"}) | {
    "And",
    "Or",
    "Xor",
}


class Translation:
    """Collects a :class:`Network` from the parts of an ONNX graph, given in order."""

    def __init__(self, path: Path, name: str, opset: int) -> None:
        self._path, self._name, self._opset = path, name, opset
        self._tensors: dict[str, Tensor] = {}
        self._nodes: list[Node] = []
        self._inputs: list[str] = []
        self._alias: dict[str, str] = {}
        self._constants: dict[str, Array] = {}
        self._sources: dict[str, Stored | Derived] = {}
        self._names: set[str] = set()
        self._refusals: list[Refusal] = []
        self._unknown: set[str] = set()

    def input(self, name: str, shape: Shape, graph: Any) -> None:
        """A graph input."""
        types = {v.name: v.type.tensor_type.elem_type for v in graph.input}
        self._tensors[name] = Tensor(name, shape, DTYPES.get(types[name], "f32"), "input")
        self._inputs.append(name)

    def initialiser(self, tensor: Any) -> None:
        """An initialiser; small ones are read at once, others when they are asked for."""
        name, shape = tensor.name, tuple(tensor.dims)
        if not protobuf.has_values(tensor):
            self._weight(name, Stored(shape, None))
            return
        read = partial(protobuf.array, tensor, self._path)
        dtype = DTYPES.get(tensor.data_type, "f32")
        if dtype != "f32":
            self._constants[name] = read()
            return
        if prod(shape) <= 1:
            self._constants[name] = read()
            return
        self._weight(name, Stored(shape, read))

    def node(self, node: Any) -> None:
        """The next node."""
        label, op = node.name or f"{node.op_type}:{node.output[0]}", node.op_type
        inputs = [self._alias.get(name, name) for name in node.input]
        while inputs and not inputs[-1]:
            inputs.pop()
        if node.domain not in ("", "ai.onnx"):
            self._refuse(node, Refusal(f"{node.domain}.{op}", label))
        elif op in _OF_TWO and (len(inputs) != 2 or "" in inputs):
            self._refuse(node, Refusal(op, label, "it has two inputs"))
        elif op in _ALIASES and inputs:
            self._alias[node.output[0]] = inputs[0]
            self._unknown |= {node.output[0]} if inputs[0] in self._unknown else set()
        elif not self._unknown.isdisjoint(inputs):
            known = op in ("Shape", "Size", "Constant") or can_fold(op) or op == "Upsample"
            self._refuse(node, None if known else Refusal(op, label))
        else:
            try:
                self._translate(node, label, inputs)
            except ValueError as error:
                self._refuse(node, Refusal(op, label, str(error)))
            except (TypeError, LookupError, ArithmeticError, AttributeError) as error:
                reason = f"its attributes and inputs are not those of the operator ({error})"
                self._refuse(node, Refusal(op, label, reason))

    def network(self, outputs: list[str]) -> Network:
        """What was collected; raises InputError when a node was refused."""
        if self._refusals:
            raise refused(str(self._path), self._refusals)
        ends: list[str] = []
        for name in outputs:
            end = self._alias.get(name, name)
            if end in self._constants or end in self._sources:
                reason = f"output {name} does not depend on the input"
                raise refused(str(self._path), [Refusal("output", name, reason)])
            if end != name and end not in (*outputs, *self._inputs, *ends):
                self._rename(end, name)  # an alias: the file's name of the output is the one known
                end = name
            ends.append(end)
        for name in set(ends) - set(self._inputs):  # one that is both is calibrated as an input
            self._tensors[name] = replace(self._tensors[name], kind="output")
        used = {n for node in self._nodes for n in (*node.inputs, *node.outputs)}
        used |= {*ends, *self._inputs}
        graph = Graph(
            self._name,
            {n: t for n, t in self._tensors.items() if n in used},
            tuple(self._nodes),
            tuple(self._inputs),
            tuple(dict.fromkeys(ends)),
            {n: partial(np.asarray, a) for n, a in self._constants.items() if n in used},
        )
        return Network(graph, self._sources)

    def _rename(self, old: str, new: str) -> None:
        self._tensors[new] = replace(self._tensors.pop(old), name=new)

        def renamed(names: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(new if name == old else name for name in names)

        self._nodes = [
            replace(node, inputs=renamed(node.inputs), outputs=renamed(node.outputs))
            for node in self._nodes
        ]

    def _refuse(self, node: Any, refusal: Refusal | None) -> None:
        self._unknown.update(node.output)
        if refusal is not None:
            self._refusals.append(refusal)

    def _translate(self, node: Any, label: str, inputs: list[str]) -> None:
        op, attrs = node.op_type, attributes(node)
        outputs = [name for name in node.output if name]
        if op == "Constant":
            self._constants[outputs[0]] = _constant(attrs)
            return
        if op in ("Shape", "Size"):
            shape = self._shape(inputs[0])[attrs.get("start", 0) : attrs.get("end")]
            value = np.array(shape if op == "Shape" else prod(shape), np.int64)
            self._constants[outputs[0]] = value
            return
        if op not in ARITHMETIC:
            inputs = self._to_attributes(op, inputs, attrs)
            rank = len(self._shape(inputs[0])) if inputs else 0
            op, attrs = normalise(op, attrs, len(outputs), rank, self._opset)
        if op == "Cast" and self._float(inputs[0]) and attrs["to"] == "f32":
            self._alias[outputs[0]] = inputs[0]
        elif can_fold(op) and all(not n or n in self._constants for n in inputs):
            values = [self._constants[n] if n else None for n in inputs]
            for name, value in zip(outputs, fold(op, values, attrs), strict=False):
                self._constants[name] = value
        elif op not in OPERATORS:
            self._refuse(node, Refusal(op, label))
        elif all(n in self._constants or n in self._sources for n in inputs):
            self._derive(op, inputs, outputs, attrs)
        else:
            self._append(op, label, inputs, outputs, attrs)

    def _to_attributes(self, op: str, inputs: list[str], attrs: Attrs) -> list[str]:
        """Moves constant inputs that are attributes of ours; returns the inputs that stay."""
        keys = static_inputs(op, self._opset)
        if not keys:
            return inputs
        for key, name in zip(keys, inputs[1:], strict=False):
            if not name:
                continue
            if name not in self._constants and not self._read(name):
                raise ValueError(f"its {key} depend on values of the input; only constants will do")
            value = as_attribute(self._constants[name])
            if value != ():  # an empty tensor stands for an input left out
                attrs[key] = value
            elif key == "shape":
                attrs[key] = ()
        return inputs[:1]

    def _read(self, name: str) -> bool:
        """Reads a weight that is needed as a number; False where there is none."""
        if name not in self._sources:
            return False
        network = Network(Graph(self._name, {}, (), (), ()), self._sources)
        self._constants[name] = network.weight(name)
        return True

    def _derive(self, op: str, inputs: list[str], outputs: list[str], attrs: Attrs) -> None:
        """Results of a node whose operands are all known: weights, computed when asked for."""
        shapes = OPERATORS[op].shape([self._shape(n) for n in inputs], attrs)
        _bounded(shapes)
        for n in inputs:
            if n in self._constants and n not in self._sources:
                array = self._constants[n]
                self._sources[n] = Stored(array.shape, partial(np.asarray, array))
        for index, (name, shape) in enumerate(zip(outputs, shapes, strict=False)):
            compute = _result(op, attrs, index)
            self._sources[name] = Derived(tuple(inputs), compute)
            self._tensors[name] = Tensor(name, shape, "f32", "weight")

    def _append(
        self, op: str, label: str, inputs: list[str], outputs: list[str], attrs: Attrs
    ) -> None:
        if "" in inputs:
            raise ValueError("an input before the last is left out")
        if op in _INDEXED and inputs[1] in self._constants:
            _check_places(op, self._shape(inputs[0]), self._constants[inputs[1]], attrs)
        for index, name in enumerate(inputs):
            if name in self._constants and name not in self._tensors:
                self._add_constant(name, OPERATORS[op].role == "matrix" and index == 1)
        shapes = OPERATORS[op].shape([self._tensors[n].shape for n in inputs], attrs)
        # Attributes that only the count of the work looks at are looked at here, once.
        OPERATORS[op].work([self._tensors[n].shape for n in inputs], shapes, attrs)
        if len(shapes) < len(outputs):
            raise ValueError(f"{len(outputs)} outputs are asked for, {len(shapes)} are there")
        if _changes_nothing(op, self._tensors[inputs[0]].shape, shapes[0], attrs):
            self._alias[outputs[0]] = inputs[0]
            return
        dtype = self._dtype(op, inputs, attrs)
        _bounded(shapes)
        if not all(map(prod, shapes)):
            raise ValueError("makes a tensor without elements")
        for index, (name, shape) in enumerate(zip(outputs, shapes, strict=False)):
            of_index = (op == "TopK" and index == 1) or (op == "MaxPool" and index == 1)
            self._tensors[name] = Tensor(name, shape, "s64" if of_index else dtype)
        base, count = label, 1
        while label in self._names:
            count += 1
            label = f"{base}:{count}"
        self._names.add(label)
        self._nodes.append(Node(label, op, tuple(inputs), tuple(outputs), attrs))

    def _dtype(self, op: str, inputs: list[str], attrs: Attrs) -> str:
        if op == "Cast":
            return str(attrs["to"])
        if op in _OF_INTEGERS:
            return "s64"
        if op in _OF_TRUTH:
            return "bool"
        return self._tensors[inputs[1 if op == "Where" else 0]].dtype

    def _add_constant(self, name: str, is_matrix: bool) -> None:
        """A constant that a node reads: numbers and integers are the graph's own, arrays weights
        like any others."""
        array = self._constants[name]
        dtype = _INTEGERS[array.dtype.kind]
        if array.dtype.kind == "f":
            array = self._constants[name] = array.astype(np.float32, copy=False)
        if array.size <= (1 if dtype == "f32" else _SMALL) and not is_matrix:
            self._tensors[name] = Tensor(name, array.shape, dtype, "constant")
        else:
            self._weight(name, Stored(array.shape, partial(np.asarray, array)), dtype)
            del self._constants[name]

    def _weight(self, name: str, stored: Stored, dtype: str = "f32") -> None:
        self._sources[name] = stored
        self._tensors[name] = Tensor(name, stored.shape, dtype, "weight")

    def _shape(self, name: str) -> Shape:
        if name in self._constants:
            return self._constants[name].shape
        return self._tensors[name].shape

    def _float(self, name: str) -> bool:
        if name in self._constants:
            return self._constants[name].dtype.kind == "f"
        return self._tensors[name].dtype == "f32"


def _check_places(op: str, shape: Shape, places: Array, attrs: Attrs) -> None:
    """ValueError for constant indices that are not among the elements of a tensor of ``shape``."""
    if op in ("Gather", "GatherElements"):
        axis = attrs.get("axis", 0)
        sizes = np.array(shape[axis : axis + 1 or None])
    else:
        first = attrs.get("batch_dims", 0)
        sizes = np.array(shape[first : first + places.shape[-1]])
    places = np.atleast_1d(places)
    beyond = places[(places < -sizes) | (places >= sizes)]
    if beyond.size:
        raise ValueError(f"index {beyond[0]} is not among {' x '.join(map(str, sizes))} elements")


def _bounded(shapes: Sequence[Shape]) -> None:
    """ValueError for a tensor that no chip could be asked for, or that has less than nothing."""
    for shape in shapes:
        if any(size < 0 for size in shape):
            raise ValueError(f"makes a tensor of shape {shape}")
        if prod(shape) > MOST_ELEMENTS:
            raise ValueError(f"makes a tensor of {prod(shape):.1e} numbers, more than 1e10")


def _changes_nothing(op: str, before: Shape, after: Shape, attrs: Attrs) -> bool:
    """Whether a node hands on its first input as it is."""
    if op == "Transpose":
        return tuple(attrs.get("perm", ())) == tuple(range(len(before)))
    if op == "Slice":
        return before == after and all(step > 0 for step in attrs.get("steps") or ())
    if op == "Pad":
        return not any(attrs["pads"])
    return before == after and op in ("Reshape", "Expand", "Squeeze", "Unsqueeze", "Flatten")


def _constant(attrs: Attrs) -> Array:
    """The value of a Constant node."""
    (key, value), *_ = attrs.items()
    if key == "value":
        array = np.asarray(value)
        return array if array.dtype.kind in "iub" else array.astype(np.float32)
    dtype = np.int64 if key.startswith("value_int") else np.float32
    return np.array(value, dtype)


def _result(op: str, attrs: Attrs, index: int) -> Callable[..., Array]:
    def compute(*operands: Array) -> Array:
        array: Array = np.asarray(OPERATORS[op].kernel(*operands, **attrs)[index])
        return array

    return compute
