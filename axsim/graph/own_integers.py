"""Which tensors hold integers of the network itself: indices, labels, grey levels, no codes."""

from __future__ import annotations

from collections.abc import Collection

from axsim.graph.ir import FLOATS, Graph, Node
from axsim.graph.ops import OPERATORS


def own_integers(graph: Graph, codes: Collection[str]) -> set[str]:
    """The tensors of ``graph``, whose storage dtypes are assigned, that hold integers.

    U8 and U16 may be codes of real numbers, or grey levels as they are: the dtype does not say.
    Those of the inputs that are codes are in ``codes``. What is made is of the kind of what it is
    made from, and a cast says what it makes. Truth values are no integers.
    """
    found = {n for n in graph.inputs if n not in codes and _whole(graph.tensors[n].dtype)}
    for node in graph.nodes:
        made = {n for n in node.outputs if _whole(graph.tensors[n].dtype)}
        certain = {n for n in made if graph.tensors[n].dtype not in ("u8", "u16")}
        found |= made if _makes_integers(graph, node, found) else certain
    return found


def _makes_integers(graph: Graph, node: Node, found: Collection[str]) -> bool:
    role = OPERATORS[node.op].role
    if role == "cast":
        return _whole(node.attrs["to"])
    if role in ("join", "elementwise"):
        return any(name in found for name in node.inputs)
    if role in ("matrix", "norm"):  # of bytes and words there are none
        return False
    table = graph.tensors[node.inputs[0]]
    is_kept = role == "gather" and table.kind in ("weight", "constant")
    return table.name in found or (is_kept and _whole(table.dtype))


def _whole(dtype: str) -> bool:
    return dtype not in FLOATS and dtype != "bool"
