"""A linear layer in a graph."""

from __future__ import annotations

from axsim.graph.builder import GraphBuilder


def linear(b: GraphBuilder, x: str, width: int, name: str, weights: str, bias: bool = False) -> str:
    """``x @ W.T (+ bias)``: [T, in] to [T, width], weights ``{weights}.weight`` and ``.bias``."""
    inputs = [x, b.weight(f"{weights}.weight", (width, b.shape(x)[-1]))]
    if bias:
        inputs.append(b.weight(f"{weights}.bias", (width,)))
    return b.node("Gemm", inputs, name=name, transB=1)
