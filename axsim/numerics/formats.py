"""Storage dtypes of a graph's tensors under a quantisation scheme, and stored weight sizes.

Only the standard library is imported: the timing-only run uses this module and must start at once.

Rules:

* vision ``u8``/``u16``: activations of that dtype; matrix weights S8, their bias S32; norm and
  layer-scale vectors f32; other elementwise operands (position embedding, class token) in the
  activation dtype. The graph's output leaves the NPU dequantised, as f32.
* vision ``bf16``: activations bf16, matrix weights S8, bias and vectors f32.
* decoder: activations (hidden states, K, V, mask) in the hidden dtype, matrix weights in the
  weight dtype, norm vectors, bias and RoPE tables f32.

Tensors that the builder declared as integer or boolean (pixels, indices, shapes) keep their dtype.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from axsim.graph.clamps import absorbed
from axsim.graph.ir import FLOATS, Graph, Tensor
from axsim.graph.ops import OPERATORS

VisionDtype = Literal["u8", "u16", "bf16"]
WeightDtype = Literal["s8", "s4", "bf16"]
HiddenDtype = Literal["bf16", "f16", "f32"]
Part = Literal["vision", "decoder", "decoder-plain", "decoder-gptq", "head", "network"]
"""What a graph is part of, which says how its weights are stored; decoder layers have three
formats, see :data:`WeightFormat`."""
WeightFormat = Literal["padded", "plain", "gptq"]
"""How S8 weights of decoder layers are stored: as most packages have them, as a plain w8a16 build
writes them, or converted from a GPTQ checkpoint of 8 bits."""
Place = Literal["dram", "disk"]

S4_GROUP = 128
"""Inputs that share one scale in S4 weights (``quant_group_size`` of the vendor's build)."""

OP_TYPE = "op_type:"
"""Before the type of nodes, in a pattern that names all of a network that have it."""


@dataclass(frozen=True, slots=True)
class VisionScheme:
    """``dtype`` for every activation; ``overrides`` maps tensor-name patterns (fnmatch) to
    ``u8`` or ``u16``: the last pattern that matches an activation wins."""

    dtype: VisionDtype = "u8"
    overrides: Mapping[str, VisionDtype] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DecoderScheme:
    """Weight-only quantisation: w8a16 is ``DecoderScheme("s8", "bf16")``."""

    weight_dtype: WeightDtype = "s8"
    hidden_dtype: HiddenDtype = "bf16"


Scheme = VisionScheme | DecoderScheme


class UnmatchedPattern(ValueError):
    """An override names no activation."""


def assign(graph: Graph, scheme: Scheme) -> Graph:
    """The graph with the storage dtype that ``scheme`` gives to each tensor.

    Raises :class:`UnmatchedPattern` for an override pattern that matches no activation.
    """
    if isinstance(scheme, DecoderScheme):
        return assign_decoder(graph, scheme.weight_dtype, scheme.hidden_dtype)
    return assign_vision(graph, scheme.dtype, scheme.overrides)


def assign_vision(
    graph: Graph, dtype: VisionDtype, overrides: Mapping[str, VisionDtype] | None = None
) -> Graph:
    """Vision tower and projector: see the module's rules and :class:`VisionScheme`."""
    quantised = dtype != "bf16"
    roles = weight_roles(graph)
    dtypes: dict[str, str] = {}
    for name, tensor in graph.tensors.items():
        if tensor.dtype not in FLOATS:
            continue
        if tensor.kind in ("weight", "constant"):
            role = roles.get(name, "vector")
            if role == "matrix":
                dtypes[name] = "s8"
            elif role == "bias":
                dtypes[name] = "s32" if quantised else "f32"
            else:
                dtypes[name] = dtype if role == "operand" else "f32"
        elif tensor.kind == "output" and quantised:
            dtypes[name] = "f32"
        else:
            dtypes[name] = dtype
    names = {n: (n,) for n, t in graph.tensors.items() if t.kind == "activation" and n in dtypes}
    return graph.with_dtypes(dtypes | _overridden(graph, names, overrides or {}))


def _overridden(
    graph: Graph, names: Mapping[str, tuple[str, ...]], overrides: Mapping[str, VisionDtype]
) -> dict[str, str]:
    """The dtypes that patterns give to tensors, each of which goes by some ``names``."""
    dtypes: dict[str, str] = {}
    for pattern, override in overrides.items():
        matched = [t for t, known in names.items() if any(fnmatchcase(n, pattern) for n in known)]
        if not matched and not is_type(pattern):
            raise UnmatchedPattern(f"no activation of graph {graph.name!r} matches {pattern!r}")
        dtypes.update(dict.fromkeys(matched, override))
    return dtypes


def is_type(pattern: str) -> bool:
    """Whether a pattern is the type of operators, of which a network may have none."""
    return pattern.startswith(OP_TYPE) and pattern.removeprefix(OP_TYPE) in OPERATORS


def names_in_network(graph: Graph) -> dict[str, tuple[str, ...]]:
    """By activation, the names that patterns may match: see :func:`assign_network`."""
    names: dict[str, tuple[str, ...]] = {
        n: (n, node.name, node.name.removesuffix(f":{node.op}"), f"{OP_TYPE}{node.op}")
        for node in graph.nodes
        for n in node.outputs
        if graph.tensors[n].dtype in FLOATS
    }
    for limited, result in absorbed(graph).items():
        if limited in names and result in names:
            names[result] = (*names[result], *names[limited])
    return names


def assign_network(
    graph: Graph, dtype: VisionDtype, overrides: Mapping[str, VisionDtype] | None = None
) -> Graph:
    """A network read from a file: as :func:`assign_vision`, but its outputs are activations as any
    others, and a weight that MatMul multiplies from either side without being a projection is one.
    Patterns may name the node that makes a tensor, too, as files call it, or the type of all such
    nodes (:data:`OP_TYPE`), of which there may be none. What a limit is absorbed into
    (:mod:`axsim.graph.clamps`) is stored as the limit's result, which goes by its names as well.
    """
    assigned = assign_vision(graph, dtype)
    if dtype == "bf16":
        return assigned
    operands = (n for node in graph.nodes if node.op == "MatMul" for n in node.inputs)
    others = {
        n: dtype
        for n in [*graph.outputs, *operands]
        if graph.tensors[n].dtype in FLOATS
        and graph.tensors[n].kind in ("output", "weight", "constant")
    }
    names = names_in_network(graph)
    found = others | _overridden(graph, names, overrides or {})
    for limited, result in absorbed(graph).items():
        if limited in names:
            found[limited] = found.get(result, dtype)
    return assigned.with_dtypes(found)


def assign_decoder(
    graph: Graph, weight_dtype: WeightDtype = "s8", hidden_dtype: HiddenDtype = "bf16"
) -> Graph:
    """One decoder layer group, or the post graph (final norm and head)."""
    roles = weight_roles(graph)
    dtypes: dict[str, str] = {}
    for name, tensor in graph.tensors.items():
        if tensor.dtype not in FLOATS:
            continue
        if tensor.kind in ("weight", "constant"):
            dtypes[name] = weight_dtype if roles.get(name) == "matrix" else "f32"
        else:
            dtypes[name] = hidden_dtype
    for node in graph.nodes:  # rows taken from a table (RoPE) stay as the table is
        is_table = graph.tensors[node.inputs[0]].kind in ("weight", "constant")
        if OPERATORS[node.op].role == "gather" and is_table:
            dtypes[node.outputs[0]] = dtypes.get(node.inputs[0], hidden_dtype)
    return graph.with_dtypes(dtypes)


def weight_roles(graph: Graph) -> dict[str, str]:
    """What each weight or constant is to the operators that read it.

    ``matrix``: right operand of a matrix product; ``bias``: added to its sums; ``operand``: a
    tensor of two or more dimensions (sizes above one) read by an elementwise or layout operator;
    ``vector``: anything else (norm affine, layer scale, scalars).
    """
    roles: dict[str, str] = {}
    for node in graph.nodes:
        for index, name in enumerate(node.inputs):
            if not name or graph.tensors[name].kind not in ("weight", "constant"):
                continue
            operator = OPERATORS[node.op]
            if operator.role == "matrix" and index in (1, 2):
                roles[name] = "matrix" if index == 1 else "bias"
            elif operator.role in ("view", "join", "elementwise") and name not in roles:
                wide = sum(size > 1 for size in graph.tensors[name].shape) > 1
                roles[name] = "operand" if wide or operator.role == "join" else "vector"
    return roles


def stored_bytes(tensor: Tensor, part: Part = "decoder", place: Place = "dram") -> int:
    """Bytes that a tensor occupies with scales and padding, in NPU memory or in the model file.

    Sources: public measurements of real files: 17,360,392 bytes for the 15,728,640 S8 weights of a
    Qwen3-0.6B layer, 1.1037 each, and 1.0844 in a head; the vision file 1.104, inferred from its
    listed size. (A figure of 1.164 for layers in DRAM is that same file over another model's
    parameters.) Layers of one model come in files of 48 MB (plain w8a16, about a byte a weight) and
    58 MB (GPTQ-Int8, up to 1.16). S4 0.57 to 0.60, bf16 and f16 as 32-bit words in DRAM: inferred
    from decode times.
    A network of convolutions takes a byte a weight: nine tenths of VGG16's bytes are in products
    of one row, which its times (C015, C016) leave no more for.
    A factor below one row scale (4 bytes per output row) plus the codes is impossible for rows
    shorter than 25 weights; the larger is used.
    """
    if tensor.kind not in ("weight", "constant") or tensor.dtype not in ("s8", "s4", "bf16", "f16"):
        return tensor.bytes
    if tensor.dtype in ("bf16", "f16"):
        return 4 * tensor.elements if place == "dram" else 2 * tensor.elements
    factor = _S4_BYTES if tensor.dtype == "s4" else _S8_BYTES[part, place]
    rows = tensor.shape[0] if tensor.shape else 1
    return max(round(tensor.elements * factor), tensor.bytes + 4 * rows)


def weight_bytes(graph: Graph, part: Part = "decoder", place: Place = "dram") -> int:
    """Stored bytes of all weights of ``graph`` (codes, scales, padding, vectors, bias)."""
    return sum(stored_bytes(t, part, place) for t in graph.tensors.values() if t.kind == "weight")


_S8_BYTES: dict[tuple[Part, Place], float] = {
    ("decoder", "dram"): 1.1037,
    ("decoder", "disk"): 1.1037,
    ("decoder-plain", "dram"): 1.0,
    ("decoder-plain", "disk"): 1.0,
    ("decoder-gptq", "dram"): 1.16,
    ("decoder-gptq", "disk"): 1.16,
    ("head", "dram"): 1.084,
    ("head", "disk"): 1.0844,
    ("vision", "dram"): 1.104,
    ("vision", "disk"): 1.104,
    ("network", "dram"): 1.0,
    ("network", "disk"): 1.0,
}
DECODER_PARTS: dict[WeightFormat, Part] = {
    "padded": "decoder",
    "plain": "decoder-plain",
    "gptq": "decoder-gptq",
}
_S4_BYTES = 0.585  # middle of 0.57 to 0.60, inferred from decode times
