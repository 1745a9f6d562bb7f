"""Depth-first tiling: tensors that go from layer to layer in bands of rows.

A layer whose result at one place depends on a neighbourhood of its operand (a convolution, pooling,
a projection, anything element by element) can begin when the first rows are there. Layers chained
so keep a band of each tensor between them on chip and never write it to DRAM, however large it is.
Their weights have to stay, since each band needs them again. A band that is there is computed on
while the next one is made, so that CONV and TENG work side by side.

Only networks from files are planned so: the rate of spilled tensors was fitted to towers without.
"""

from __future__ import annotations

from collections.abc import Sequence

from axsim.compiler.lower import Lowered, Operation
from axsim.spec.chip import NetworksSection


def bands(
    lowered: Lowered, weights: Sequence[float], room: float, networks: NetworksSection
) -> dict[str, float]:
    """Bytes of a band of every tensor that can go in bands from its maker to its last reader.

    ``weights`` are the bytes of each operation's, of which a chain has to hold all in ``room``.
    """
    made: dict[str, int] = {}
    last: dict[str, int] = {}
    for index, operation in enumerate(lowered.operations):
        last.update(dict.fromkeys(operation.reads, index))
        made.update(dict.fromkeys(operation.writes, index))
    near = [_is_near(lowered, operation) for operation in lowered.operations]
    found: dict[str, float] = {}
    for name, begin in made.items():
        end = last.get(name, begin)
        if end == begin or name in lowered.outputs or not all(near[begin : end + 1]):
            continue
        if sum(weights[begin : end + 1]) <= room:
            around = [each for each in lowered.operations[begin + 1 : end + 1] if _has_halo(each)]
            held = (1 + networks.halo * len(around)) / networks.bands
            found[name] = lowered.bytes(name) * min(1.0, held)
    return found


def _has_halo(operation: Operation) -> bool:
    """Whether it reads rows around its own: a convolution, or attention in windows."""
    matmul = operation.matmul
    return matmul is not None and (matmul.width > 0 or operation.attention)


def _is_near(lowered: Lowered, operation: Operation) -> bool:
    """Whether a row of the result needs nearby rows of the operands only: not where every row
    attends to all others, which are the products of two activations but for those in windows, whose
    number is the first dimension."""
    if not operation.attention:
        return True
    shape = lowered.graph.tensors[operation.writes[0]].shape
    return len(shape) > 3 and shape[0] > 1
