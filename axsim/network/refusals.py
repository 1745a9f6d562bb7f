"""One error for all nodes that a graph cannot have, with what to do about each kind."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from axsim.errors import InputError, Problem

_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Refusal:
    """A node that was refused and, where it is not the operator as such, why."""

    op: str
    node: str
    reason: str = ""


_CONTROL = "runs a graph of its own; export with constant conditions, or cut it off with --cut NAME"
_RECURRENT = "is recurrent; the NPU's compiler takes feed-forward graphs"
_QUANTISED = (
    "belongs to a quantised export; give the float model, which is quantised as it is built"
)
_LIST = (
    "makes a list whose length depends on values; cut it off with --cut NAME, it runs on the host"
)
ADVICE = {
    **dict.fromkeys(("If", "Loop", "Scan", "SequenceMap"), _CONTROL),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _RECURRENT),
    **dict.fromkeys(("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear"), _QUANTISED),
    **dict.fromkeys(("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger"), _QUANTISED),
    **dict.fromkeys(("NonMaxSuppression", "NonZero", "Unique", "Compress"), _LIST),
}
"""Why operators that people meet are refused, and what to do."""


def refused(where: str, refusals: Sequence[Refusal]) -> InputError:
    """The error: a line for each operator and reason, with its nodes."""
    kinds: dict[tuple[str, str], list[str]] = {}
    for refusal in refusals:
        advice = "is not supported; cut it off with --cut NAME, or add it to axsim/graph/ops"
        reason = refusal.reason or ADVICE.get(refusal.op, advice)
        kinds.setdefault((refusal.op, reason), []).append(refusal.node)
    problems = []
    for (op, reason), nodes in sorted(kinds.items()):
        more = f" and {len(nodes) - _SHOWN} more" if len(nodes) > _SHOWN else ""
        shown = ", ".join(nodes[:_SHOWN]) + more
        problems.append(Problem(where, op, f"{reason} (node{'s'[: len(nodes) > 1]} {shown})"))
    return InputError(problems)
