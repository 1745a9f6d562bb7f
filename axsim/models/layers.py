"""Layers in a graph that decoders and towers share."""

from __future__ import annotations

from axsim.graph.builder import GraphBuilder
from axsim.models.parts import ACTIVATIONS, ActivationName


def linear(b: GraphBuilder, x: str, width: int, name: str, weights: str, bias: bool = False) -> str:
    """``x @ W.T (+ bias)``: [T, in] to [T, width], weights ``{weights}.weight`` and ``.bias``."""
    inputs = [x, b.weight(f"{weights}.weight", (width, b.shape(x)[-1]))]
    if bias:
        inputs.append(b.weight(f"{weights}.bias", (width,)))
    return b.node("Gemm", inputs, name=name, transB=1)


def activated(b: GraphBuilder, name: ActivationName, x: str, at: str) -> str:
    """The activation of an MLP called ``at``, under its label."""
    act = ACTIVATIONS[name]
    x = b.node(act.op, [x], name=f"{at}.{act.label}", **act.attrs)
    return b.node("Mul", [x, x], name=f"{at}.square") if act.squared else x
