"""Shape and cost of elementwise operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from axsim.graph.operator import Operator, Shape, Work
from axsim.graph.shapes import broadcast
from axsim.kernels.array import Array


def shape(shapes: Sequence[Shape], attrs: Mapping[str, Any]) -> list[Shape]:
    """The inputs' broadcast shape."""
    return [broadcast(*shapes)]


def one_pass(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    """One element-operation for each output element."""
    return Work(passes=prod(outputs[0]))


def moved(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    """Each output element is copied once, nothing is computed."""
    return Work(moves=sum(prod(s) for s in outputs))


def flat(vector: Array, shape: Shape) -> Array:
    """``vector`` broadcast to ``shape`` and laid out as one row."""
    import numpy as np

    return np.broadcast_to(vector, shape).reshape(-1)


def function(
    name: str,
    compute: Callable[..., Any],
    *,
    passes: int = 1,
    transcendentals: int = 0,
    **about: Any,
) -> Operator:
    """The operator ``y = compute(numpy, x, **attrs)`` of one number, element by element.

    ``passes`` and ``transcendentals`` are its cost for each element; ``about``: the other fields of
    :class:`~axsim.graph.operator.Operator`.
    """

    def work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
        elements = prod(outputs[0])
        return Work(passes=passes * elements, transcendentals=transcendentals * elements)

    return Operator(name, shape, work, _with_numpy(compute), role="function", **about)


def broadcasting(
    name: str,
    compute: Callable[..., Any],
    *,
    passes: int = 1,
    transcendentals: int = 0,
    **about: Any,
) -> Operator:
    """The operator ``y = compute(numpy, *operands, **attrs)`` of broadcast tensors, element by
    element; see :func:`function`."""

    def work(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
        elements = prod(outputs[0])
        return Work(passes=passes * elements, transcendentals=transcendentals * elements)

    return Operator(name, shape, work, _with_numpy(compute), role="elementwise", **about)


def _with_numpy(compute: Callable[..., Any]) -> Callable[..., tuple[Array]]:
    """Timing reads the table of operators and must not wait for numpy."""

    def kernel(*operands: Array, **attrs: Any) -> tuple[Array]:
        import numpy as np

        return (np.asarray(compute(np, *operands, **attrs)),)

    return kernel


def nothing(inputs: Sequence[Shape], outputs: Sequence[Shape], attrs: Mapping[str, Any]) -> Work:
    """No work: a view."""
    return Work()
