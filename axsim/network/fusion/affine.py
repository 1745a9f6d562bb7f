"""A scale and a shift of each channel go into the convolution in front of them.

They come as BatchNormalization, or as Mul, Div, Add and Sub by constants.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import prod

import numpy as np

from axsim.graph.ir import Node
from axsim.graph.ops.batchnormalization import affine as statistics
from axsim.kernels.array import Array
from axsim.network.fusion.edit import Edit

_CONVOLUTIONS = ("Conv", "ConvTranspose")
Affine = tuple[tuple[str, ...], Callable[..., tuple[Array, Array]]]
"""Weights, and what computes factor and shift from them, each float64 [channels] or a number."""


def affine(edit: Edit) -> None:
    """Fold until nothing more can be."""
    for conv in edit.nodes(*_CONVOLUTIONS):
        current: Node | None = conv
        while current is not None:
            current = _step(edit, current)


def _step(edit: Edit, conv: Node) -> Node | None:
    """Fold the reader of ``conv`` into it; returns the convolution that results."""
    if not all(edit.is_weight(name) for name in conv.inputs[1:]):
        return None
    node = edit.reader(conv.outputs[0])
    found = None if node is None else _affine(edit, node, conv.outputs[0])
    if node is None or found is None:
        return None
    names, values = found
    weight, bias = conv.inputs[1], conv.inputs[2:]
    channels = edit.shape(conv.outputs[0])[1]
    # ConvTranspose has [C, M / group, taps], whose groups lie along the first dimension.
    group = conv.attrs.get("group", 1) if conv.op == "ConvTranspose" else 0

    def scaled(w: Array, *operands: Array) -> Array:
        factor, _ = values(*operands)
        factor = np.broadcast_to(factor, channels)
        if not group:
            spread = factor.reshape(-1, *[1] * (w.ndim - 1))
            return (w * spread).astype(np.float32)
        parts = w.reshape(group, -1, *w.shape[1:])
        spread = factor.reshape(group, 1, -1, *[1] * (w.ndim - 2))
        return (parts * spread).reshape(w.shape).astype(np.float32)

    def shifted(*operands: Array) -> Array:
        b = operands[0] if bias else np.float64(0)
        factor, shift = values(*operands[len(bias) :])
        return np.broadcast_to(b * factor + shift, channels).astype(np.float32)

    new_weight = edit.derive(f"{weight}*{node.name}", edit.shape(weight), (weight, *names), scaled)
    new_bias = edit.derive(f"{conv.name}+{node.name}", (channels,), (*bias, *names), shifted)
    inputs = (conv.inputs[0], new_weight, new_bias)
    output = node.outputs[0]
    edit.replace([conv, node], conv.op, inputs, **conv.attrs)
    return edit.maker(output)


def _affine(edit: Edit, node: Node, operand: str) -> Affine | None:
    """What ``node`` does to each channel of ``operand``; None where it does something else."""
    if node.op == "BatchNormalization":
        epsilon = float(node.attrs.get("epsilon", 1e-5))
        return node.inputs[1:], partial(statistics, epsilon=epsilon)
    if node.op not in ("Add", "Sub", "Mul", "Div") or len(node.inputs) != 2:
        return None
    first = node.inputs[0] == operand
    other = node.inputs[1 if first else 0]
    if not edit.is_weight(other) or not _by_channel(edit.shape(other), edit.shape(operand)):
        return None
    if node.op == "Div" and not first:
        return None
    return (other,), lambda value: _values(node.op, first, value)


def _values(op: str, first: bool, value: Array) -> tuple[Array, Array]:
    number = value.reshape(-1).astype(np.float64)
    one, zero = np.ones(1), np.zeros(1)
    if op == "Mul":
        return number, zero
    if op == "Div":
        return 1 / number, zero
    if op == "Add":
        return one, number
    return (one, -number) if first else (-one, number)


def _by_channel(shape: tuple[int, ...], x: tuple[int, ...]) -> bool:
    """Whether an operand of ``shape`` has one number for each channel of ``x``, or one for all."""
    if prod(shape) == 1:
        return len(shape) <= len(x)
    spatial = len(x) - 2
    rest = shape[len(shape) - spatial :]
    return len(shape) > spatial and set(rest) <= {1} and prod(shape) == x[1] == shape[-spatial - 1]
