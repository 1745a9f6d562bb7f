"""Weights as the NPU stores them, and as arrays of a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from axsim.axmodel.archive import Archive, Writer
from axsim.graph.ir import Graph, Tensor
from axsim.kernels.array import Array
from axsim.numerics.integer_conv import quantised_taps
from axsim.numerics.matrix import Matrix, quantise_matrix
from axsim.numerics.weight_only import WeightOnly

Stored = Matrix | Array
"""A matrix (or taps of a convolution) in codes, or float32 values."""


def quantised(
    graph: Graph, weights: Callable[[str], Array], integer: bool
) -> dict[str, Callable[[], Stored]]:
    """A function for each weight of ``graph`` that gives it as the arithmetic stores it: integers,
    or weights alone. Decoders have :class:`axsim.numerics.stored.StoredWeights`."""
    taps = {
        node.inputs[1]: (node.op, int(node.attrs.get("group", 1)))
        for node in graph.nodes
        if node.op in ("Conv", "ConvTranspose")
    }
    weight_only = WeightOnly()

    def of(tensor: Tensor) -> Stored:
        if not integer:
            value: Stored = weight_only.load(tensor, weights)
            return value
        array = weights(tensor.name)
        if tensor.dtype != "s8":
            return array
        if tensor.name in taps:
            return quantised_taps(array, *taps[tensor.name])
        return quantise_matrix(array)

    return {tensor.name: partial(of, tensor) for tensor in graph.weights()}


def store(value: Stored, writer: Writer) -> dict[str, Any]:
    """Write a value; what the manifest says of it."""
    if not isinstance(value, Matrix):
        return {"dtype": "plain", "shape": list(value.shape), "values": writer.add(value)}
    entry: dict[str, Any] = {"dtype": value.dtype, "shape": list(value.codes.shape)}
    codes = value.codes
    if value.dtype == "s4":
        entry["group"] = value.group
        flat = codes.reshape(-1).view(np.uint8) & 15
        flat = np.append(flat, np.zeros(flat.size % 2, np.uint8))
        codes = flat[::2] | flat[1::2] << 4  # the first of two codes is the low one
    entry["codes"] = writer.add(codes)
    if value.scale is not None:
        entry["scale"] = writer.add(value.scale)
    return entry


def restored(entry: Mapping[str, Any], name: str, archive: Archive) -> Stored:
    """The value of a manifest's entry; InputError when it does not fit its arrays."""
    try:
        shape, dtype = tuple(map(int, entry["shape"])), str(entry["dtype"])
        if dtype == "plain":
            values = archive.array(entry["values"])
            if values.shape != shape:
                raise ValueError(f"its array is {list(values.shape)}, not {list(shape)}")
            return values
        codes = archive.array(entry["codes"])
        scale = archive.array(entry["scale"]) if "scale" in entry else None
        if codes.dtype != _CODES[dtype]:
            raise ValueError(f"its codes are {codes.dtype}, not {_CODES[dtype]} as {dtype} has")
        if dtype == "s4":
            pairs = np.stack([codes << 4, codes], axis=-1).reshape(-1).view(np.int8) >> 4
            codes = pairs[: int(np.prod(shape))]
        codes = codes.reshape(shape)
        if (scale is None) != (dtype in ("bf16", "f32")):
            raise ValueError("it has scales without codes, or the other way round")
        fits = scale is None or (scale.ndim and scale.shape[0] in shape[:2])
        if scale is not None and (scale.dtype != np.float32 or not fits):
            raise ValueError(f"its scales are {scale.dtype} {list(scale.shape)}")
        return Matrix(codes, scale, dtype, int(entry.get("group", 0)))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise archive.fault(f"cannot give the weight {name}: {error}; build it again") from None


_CODES = {"s8": np.int8, "s4": np.uint8, "bf16": np.uint16, "f32": np.float32}
