"""The few bytes of ONNX protobuf that wrap one operator for onnxruntime.

onnxruntime runs models, not operators, and the ``onnx`` package that usually writes them is not
needed for one node. Field numbers are those of onnx.proto3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from axsim.kernels.array import Array

ELEMENT: dict[str, int] = {"float32": 1, "uint8": 2, "int8": 3, "int32": 6}
"""ONNX TensorProto.DataType of numpy dtype names."""


def one_node(
    op: str,
    inputs: Sequence[tuple[str, str, int]],
    output: tuple[str, int],
    constants: Mapping[str, Array] | None = None,
) -> bytes:
    """A serialised model of one ``op`` of opset 18.

    ``inputs``: (name, numpy dtype, rank) of every operand in order, those in ``constants`` too.
    ``output``: (numpy dtype, rank) of the output, which is named ``y``. Sizes are left open.
    """
    constants = constants or {}
    node = b"".join(_bytes(1, name.encode()) for name, _, _ in inputs)
    node += _bytes(2, b"y") + _bytes(4, op.encode())
    graph = _bytes(1, node) + _bytes(2, b"g")
    graph += b"".join(_bytes(5, _tensor(name, array)) for name, array in constants.items())
    for name, dtype, rank in inputs:
        if name not in constants:
            graph += _bytes(11, _value(name, dtype, rank))
    graph += _bytes(12, _value("y", *output))
    opset = _int(2, 18)
    return _int(1, 8) + _bytes(7, graph) + _bytes(8, opset)


def _tensor(name: str, array: Array) -> bytes:
    dims = b"".join(_int(1, size) for size in array.shape)
    kind = _int(2, ELEMENT[array.dtype.name])
    return dims + kind + _bytes(8, name.encode()) + _bytes(9, array.tobytes())


def _value(name: str, dtype: str, rank: int) -> bytes:
    dims = b"".join(_bytes(1, _bytes(2, f"{name}{i}".encode())) for i in range(rank))
    tensor = _int(1, ELEMENT[dtype]) + _bytes(2, dims)
    return _bytes(1, name.encode()) + _bytes(2, _bytes(1, tensor))


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def _int(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(value)) + value
