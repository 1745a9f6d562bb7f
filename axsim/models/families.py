"""The decoder families: which parts a layer has, and how config.json and a checkpoint name them.

To add a family, add its row. Graphs, tensor shapes, `axsim import`, checkpoints, the keys of a
workload and the end of an answer follow from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple


class Activation(NamedTuple):
    """A function between the matrices of an MLP: ONNX operator, its attributes, its label."""

    op: str
    attrs: Mapping[str, Any]
    label: str


ACTIVATIONS: dict[str, Activation] = {
    "silu": Activation("Swish", {}, "silu"),
    "gelu": Activation("Gelu", {}, "gelu"),
    "gelu_new": Activation("Gelu", {"approximate": "tanh"}, "gelu"),
    "gelu_pytorch_tanh": Activation("Gelu", {"approximate": "tanh"}, "gelu"),
}
"""By their names in config.json (transformers' ACT2FN)."""


@dataclass(frozen=True)
class Parts:
    """What a decoder layer is made of.

    ``norm`` is the operator before attention, before the MLP and before the head; a
    LayerNormalization has a bias. ``parallel``: attention and MLP read the same norm and are added
    together. ``head_norm``: RMSNorm over each head's channels of q and k. ``gated``: the MLP is
    ``down(act(gate(x)) * up(x))``, else ``fc2(act(fc1(x)))``. ``attention_output`` and
    ``final_norm`` are names of tensors in checkpoints.
    """

    norm: Literal["RMSNormalization", "LayerNormalization"] = "RMSNormalization"
    parallel: bool = False
    qkv_bias: bool = False
    head_norm: bool = False
    output_bias: bool = False
    gated: bool = True
    activation: str = "silu"
    mlp_bias: bool = False
    head_bias: bool = False
    attention_output: str = "self_attn.o_proj"
    final_norm: str = "norm"


@dataclass(frozen=True)
class Family:
    """One row.

    ``name`` is what a workload calls it, ``model_type`` what config.json does. ``end_of_sequence``
    ends an answer where nothing else says what does. ``epsilon`` is the key of the norms' epsilon
    with transformers' default; ``partial_rotary_factor`` is the default too. ``required`` are keys
    of config.json that must have this value if they are given: others ask for parts that this row
    does not have.
    """

    name: str
    model_type: str
    parts: Parts
    end_of_sequence: int
    epsilon: tuple[str, float] = ("rms_norm_eps", 1e-6)
    partial_rotary_factor: float = 1.0
    required: Mapping[str, object] = field(default_factory=dict)


_NOTHING_ELSE = {"use_sliding_window": False, "mlp_bias": False, "qk_layernorm": False}
_NO_BIAS = {**_NOTHING_ELSE, "attention_bias": False}

_ROWS = (
    Family(
        "qwen2",
        "qwen2",
        Parts(qkv_bias=True),
        end_of_sequence=151645,  # <|im_end|>
        required=_NOTHING_ELSE,
    ),
    Family(
        "qwen3",
        "qwen3",
        Parts(head_norm=True),
        end_of_sequence=151645,  # <|im_end|>
        required=_NO_BIAS,
    ),
    Family("llama", "llama", Parts(), end_of_sequence=2, required=_NO_BIAS),
    Family(
        "phi2",
        "phi",
        Parts(
            norm="LayerNormalization",
            parallel=True,
            qkv_bias=True,
            output_bias=True,
            gated=False,
            activation="gelu_new",
            mlp_bias=True,
            head_bias=True,
            attention_output="self_attn.dense",
            final_norm="final_layernorm",
        ),
        end_of_sequence=50256,
        epsilon=("layer_norm_eps", 1e-5),
        partial_rotary_factor=0.5,
        required=_NO_BIAS,
    ),
)

FAMILIES: dict[str, Family] = {row.name: row for row in _ROWS}
"""Every family by its name in a workload."""

BY_MODEL_TYPE: dict[str, Family] = {row.model_type: row for row in _ROWS}
"""Every family by ``model_type`` of config.json."""
