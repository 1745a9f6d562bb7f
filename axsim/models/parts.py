"""What a decoder layer is made of, as a graph sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple


class Activation(NamedTuple):
    """A function between the matrices of an MLP: ONNX operator, its attributes, its label;
    ``squared``: multiplied with itself."""

    op: str
    attrs: Mapping[str, Any]
    label: str
    squared: bool = False


ActivationName = Literal[
    "silu", "gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu", "relu2"
]
"""By their names in config.json (transformers' ACT2FN)."""

_TANH = Activation("Gelu", {"approximate": "tanh"}, "gelu")

ACTIVATIONS: dict[str, Activation] = {
    "silu": Activation("Swish", {}, "silu"),
    "gelu": Activation("Gelu", {}, "gelu"),
    "gelu_new": _TANH,
    "gelu_pytorch_tanh": _TANH,
    "quick_gelu": Activation("Swish", {"alpha": 1.702}, "quick_gelu"),
    "relu": Activation("Relu", {}, "relu"),
    "relu2": Activation("Relu", {}, "relu", squared=True),
}
"""The operator behind each name."""

Norm = Literal["RMSNormalization", "LayerNormalization"]


@dataclass(frozen=True)
class Parts:
    """The parts of a decoder layer; a family's row gives them, a workload may change each.

    * ``norm``: the operator of every norm, with a ``norm_scale``; a LayerNormalization may have
      ``norm_bias``
    * ``pre_norm``: before attention, before the MLP; ``post_norm``: on what each adds to the
      residual. Gemma 2 has both, OLMo 2 the second only.
    * ``parallel``: attention and MLP read the same norm and are added together
    * ``qkv_bias``, ``output_bias``, ``mlp_bias``, ``head_bias``: of the projections, attention's
      output, the MLP, the language-model head; ``key_bias``: on k, where q and v have one
    * ``qk_norm``: RMSNorm of q and k, over each ``head`` or over the whole ``width``;
      ``qk_norm_after_rope``: not before the rotation but after it
    * ``interleaved``: rotated pairs are neighbours (2i, 2i + 1), not (i, i + rotated / 2)
    * ``gated``: the MLP is ``down(act(gate(x)) * up(x))``, else ``down(act(up(x)))``
    * ``activation``: its function, one of :data:`ACTIVATIONS`
    """

    norm: Norm = "RMSNormalization"
    norm_scale: bool = True
    norm_bias: bool = False
    pre_norm: bool = True
    post_norm: bool = False
    parallel: bool = False
    qkv_bias: bool = False
    key_bias: bool = True
    output_bias: bool = False
    mlp_bias: bool = False
    head_bias: bool = False
    qk_norm: Literal["none", "head", "width"] = "none"
    qk_norm_after_rope: bool = False
    interleaved: bool = False
    gated: bool = True
    activation: ActivationName = "silu"
