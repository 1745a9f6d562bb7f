"""Shape arithmetic shared by the operators."""

from __future__ import annotations

from collections.abc import Sequence

Shape = tuple[int, ...]


def broadcast(*shapes: Shape) -> Shape:
    """The numpy/ONNX multidirectional broadcast of ``shapes``; ValueError when there is none."""
    rank = max(len(s) for s in shapes)
    out = [1] * rank
    for shape in shapes:
        offset = rank - len(shape)
        for i, d in enumerate(shape):
            if d == 1:
                continue
            if out[offset + i] not in (1, d):
                raise ValueError(f"shapes {' and '.join(map(str, shapes))} do not broadcast")
            out[offset + i] = d
    return tuple(out)


def positive_axis(axis: int, rank: int) -> int:
    """``axis`` counted from the front; ValueError when it is outside ``[-rank, rank)``."""
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} is outside a tensor of rank {rank}")
    return axis % rank


def reshaped(shape: Shape, target: Sequence[int], allowzero: int = 0) -> Shape:
    """``target`` with ONNX's 0 (copy, unless ``allowzero``) and -1 (infer) resolved."""
    elements = 1
    for d in shape:
        elements *= d
    out = [shape[i] if d == 0 and not allowzero else d for i, d in enumerate(target)]
    known = 1
    for d in out:
        known *= 1 if d == -1 else d
    if -1 in out:
        out[out.index(-1)] = elements // known if known else 0
    total = 1
    for d in out:
        total *= d
    if total != elements:
        raise ValueError(f"cannot reshape {shape} to {tuple(target)}")
    return tuple(out)
