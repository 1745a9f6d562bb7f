"""Einsum: sums of products over named dimensions.

Cost: one multiply-accumulate for each combination of indices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.operator import Operator, Shape, Work
from axsim.kernels.array import Array


def terms(equation: str, shapes: Sequence[Shape]) -> tuple[list[str], str]:
    """The operands' and the result's dimensions, one letter each, an ellipsis written out."""
    equation = equation.replace(" ", "")
    left, arrow, right = equation.partition("->")
    operands = left.split(",")
    letters = {c for c in equation if c.isalpha()}
    free = [c for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if c not in letters]
    wide = max(
        (len(s) - len(t) + 3 for t, s in zip(operands, shapes, strict=True) if "..." in t),
        default=0,
    )
    dots = "".join(free[:wide])
    out = []
    for term, shape in zip(operands, shapes, strict=True):
        own = len(shape) - len(term.replace("...", ""))
        out.append(term.replace("...", dots[len(dots) - own :] if own else ""))
        if len(out[-1]) != len(shape):
            raise ValueError(f"Einsum: {term!r} does not fit the shape {shape}")
    if not arrow:
        every = "".join(out)
        right = dots + "".join(sorted(c for c in set(every) - set(dots) if every.count(c) == 1))
    return out, right.replace("...", dots)


def _sizes(attrs: Mapping[str, Any], shapes: Sequence[Shape]) -> tuple[dict[str, int], str]:
    operands, result = terms(attrs["equation"], shapes)
    sizes: dict[str, int] = {}
    for letters, shape in zip(operands, shapes, strict=True):
        for letter, size in zip(letters, shape, strict=True):
            if sizes.setdefault(letter, size) in (1, size):
                sizes[letter] = size
            elif size != 1:
                raise ValueError(f"Einsum: {letter!r} is {sizes[letter]} and {size}")
    return sizes, result


def _shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    sizes, result = _sizes(attrs, shapes)
    return [tuple(sizes[letter] for letter in result)]


def _work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    combinations = prod(_sizes(attrs, inputs)[0].values())
    return Work(macs=combinations) if len(inputs) > 1 else Work(passes=combinations)


def _kernel(*operands: Array, equation: str) -> tuple[Array]:
    import numpy as np

    y = np.einsum(equation.replace(" ", ""), *operands, optimize=len(operands) > 1)
    return (np.asarray(y),)


EINSUM = Operator("Einsum", _shape, _work, _kernel, role="vector")
