"""The decoder's subgraphs: one layer on some new tokens, and post (final norm and head).

Weights inside a layer graph are named relative to the layer, so that one graph serves all layers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from axsim.graph.builder import GraphBuilder
from axsim.graph.ir import Graph
from axsim.kernels.array import Array
from axsim.models.config import DecoderConfig, Rotation
from axsim.models.layers import activated, linear
from axsim.models.rope import rope_table


def decoder_layer_graph(cfg: DecoderConfig, new_tokens: int, cached_tokens: int) -> Graph:
    """One decoder layer on ``new_tokens`` that attend to ``cached_tokens`` earlier ones and to
    themselves. Decode is ``(1, kv_cache_len)``, prefill chunk k is ``(chunk, k * chunk)``.

    Inputs: K_cache, V_cache [1, cached, kv_dim] (rows are tokens; K after rotation), or the unused
    dummy [1, 1, hidden] when nothing is cached; indices [axes, new] u32, absolute positions
    below cached + new; input [1, new, hidden]; mask [1, new, cached + new], added to the scores.
    Where the decoder attends to an encoder, cross_K, cross_V [1, cross_tokens, hidden] besides.
    Outputs: K_cache_out, V_cache_out [1, new, kv_dim]; output [1, new, hidden].

    Raises ValueError when new_tokens is not positive or cached_tokens is negative.
    """
    if new_tokens < 1 or cached_tokens < 0:
        raise ValueError(f"{new_tokens} new and {cached_tokens} cached tokens make no layer graph")
    kind = "decode" if new_tokens == 1 and cached_tokens else "prefill"
    b = GraphBuilder(f"{kind}_n{new_tokens}_h{cached_tokens}")
    hidden = cfg.hidden_size
    cache = (1, cached_tokens, cfg.kv_dim) if cached_tokens else (1, 1, hidden)
    k_cache, v_cache = b.input("K_cache", cache), b.input("V_cache", cache)
    indices = b.input("indices", (cfg.position_axes, new_tokens), "u32")
    x = b.input("input", (1, new_tokens, hidden))
    mask = b.input("mask", (1, new_tokens, cached_tokens + new_tokens))

    x = b.node("Reshape", [x], name="input.rows", shape=(new_tokens, hidden))
    caches = (k_cache, v_cache) if cached_tokens else None
    h = _norm(b, cfg, x, "input_layernorm") if cfg.parts.pre_norm else x
    attention = _attention(b, cfg, h, caches, indices, mask)
    if cfg.parts.parallel:
        h = b.node("Add", [attention, _mlp(b, cfg, h)], name="mlp.parallel")
    else:
        x = _residual(b, cfg, x, attention, "attn", "post_attention_norm")
        if cfg.cross_tokens:
            x = b.node("Add", [x, _cross_attention(b, cfg, x)], name="cross.residual")
        h = _norm(b, cfg, x, "post_attention_layernorm") if cfg.parts.pre_norm else x
        h = _mlp(b, cfg, h)
    x = _residual(b, cfg, x, h, "mlp", "post_mlp_norm")
    x = b.node("Reshape", [x], name="output", shape=(1, new_tokens, hidden))
    return b.build(["K_cache_out", "V_cache_out", "output"])


def of_layer(graph: Graph, cfg: DecoderConfig, layer: int) -> Graph:
    """A layer graph with the rotary tables of ``layer``: the same nodes, so that one program serves
    layers that rotate in different ways and those that do not rotate."""
    rotation = cfg.rotation(layer)
    if rotation == cfg.rotation(_USUAL):
        return graph
    values = dict(graph.values)
    for part in ("cos", "sin"):
        name = f"rope.{part}_table"
        values[name] = _table(rotation, cfg.rotary_dim, graph.tensors[name].shape[0], part)
    return replace(graph, values=values)


def post_graph(cfg: DecoderConfig, tokens: int = 1) -> Graph:
    """Final norm and language-model head; for one token as it is deployed, or for several.

    Input ``input`` [1, tokens, hidden]; output ``output`` [1, tokens, vocab]. Weights: ``norm.*``
    and ``lm_head.*``.
    """
    b = GraphBuilder("post")
    x = b.input("input", (1, tokens, cfg.hidden_size))
    x = b.node("Reshape", [x], name="input.rows", shape=(tokens, cfg.hidden_size))
    x = _norm(b, cfg, x, "norm")
    x = linear(b, x, cfg.vocab_size, "lm_head", "lm_head", bias=cfg.parts.head_bias)
    if cfg.logits_multiplier != 1:
        x = _scale(b, x, "lm_head.scale", cfg.logits_multiplier)
    if cfg.logit_softcap:
        x = _softcap(b, x, "lm_head.softcap", cfg.logit_softcap)
    return b.build([b.node("Reshape", [x], name="output", shape=(1, tokens, cfg.vocab_size))])


def _attention(
    b: GraphBuilder,
    cfg: DecoderConfig,
    x: str,
    caches: tuple[str, str] | None,
    indices: str,
    mask: str,
) -> str:
    """Grouped-query attention: [T, hidden] to [T, hidden]; makes K_cache_out and V_cache_out."""
    tokens, keys = b.shape(x)[0], b.shape(mask)[2]
    d, kv_heads = cfg.head_dim, cfg.num_key_value_heads
    group = cfg.num_attention_heads // kv_heads
    parts = cfg.parts
    q = linear(b, x, cfg.q_dim, "attn.q_proj", "self_attn.q_proj", parts.qkv_bias)
    key_bias = parts.qkv_bias and parts.key_bias
    k = linear(b, x, cfg.kv_dim, "attn.k_proj", "self_attn.k_proj", key_bias)
    v = linear(b, x, cfg.kv_dim, "attn.v_proj", "self_attn.v_proj", parts.qkv_bias)
    if parts.qk_norm != "none" and not parts.qk_norm_after_rope:
        q, k = _qk_norm(b, cfg, q, "q"), _qk_norm(b, cfg, k, "k")
    q, k = _rotate(b, cfg, q, k, indices)
    v = b.node("Reshape", [v], name="V_cache_out", shape=(1, tokens, cfg.kv_dim))
    if caches is not None:
        k = b.node("Concat", [caches[0], k], name="attn.k_concat", axis=1)
        v = b.node("Concat", [caches[1], v], name="attn.v_concat", axis=1)

    q = b.node("Reshape", [q], name="attn.q_view", shape=(tokens, kv_heads, group, d))
    q = b.node("Transpose", [q], name="attn.q_heads", perm=(1, 2, 0, 3))  # [kv, group, T, d]
    k = b.node("Reshape", [k], name="attn.k_view", shape=(1, keys, kv_heads, d))
    k = b.node("Transpose", [k], name="attn.k_heads", perm=(2, 0, 3, 1))  # [kv, 1, d, S]
    v = b.node("Reshape", [v], name="attn.v_view", shape=(1, keys, kv_heads, d))
    v = b.node("Transpose", [v], name="attn.v_heads", perm=(2, 0, 1, 3))  # [kv, 1, S, d]
    s = b.node("MatMul", [q, k], name="attn.scores")  # [kv, group, T, S]
    multiplier = cfg.attention_multiplier
    s = _scale(b, s, "attn.scale", d**-0.5 if multiplier is None else multiplier)
    if cfg.attention_softcap:
        s = _softcap(b, s, "attn.softcap", cfg.attention_softcap)
    s = b.node("Add", [s, mask], name="attn.mask")
    s = b.node("Softmax", [s], name="attn.softmax", axis=-1)
    x = b.node("MatMul", [s, v], name="attn.context")
    x = b.node("Transpose", [x], name="attn.merge", perm=(2, 0, 1, 3))
    x = b.node("Reshape", [x], name="attn.merge_view", shape=(tokens, cfg.q_dim))
    return linear(b, x, cfg.hidden_size, "attn.o_proj", "self_attn.o_proj", parts.output_bias)


def _cross_attention(b: GraphBuilder, cfg: DecoderConfig, x: str) -> str:
    """Attention to the rows of an encoder, whose keys and values are inputs: [T, hidden] to
    [T, hidden]."""
    tokens, width = b.shape(x)[0], cfg.hidden_size
    heads, d = cfg.num_attention_heads, cfg.head_dim
    shape = (1, cfg.cross_tokens, width)
    k, v = b.input("cross_K", shape), b.input("cross_V", shape)
    h = _norm(b, cfg, x, "cross_attn_norm")
    q = linear(b, h, width, "cross.q_proj", "cross_attn.q_proj", cfg.parts.qkv_bias)
    q = b.node("Reshape", [q], name="cross.q_view", shape=(tokens, heads, d))
    q = b.node("Transpose", [q], name="cross.q_heads", perm=(1, 0, 2))
    k, v = (
        b.node("Reshape", [t], name=f"cross.{p}_view", shape=(cfg.cross_tokens, heads, d))
        for t, p in ((k, "k"), (v, "v"))
    )
    k = b.node("Transpose", [k], name="cross.k_heads", perm=(1, 2, 0))
    v = b.node("Transpose", [v], name="cross.v_heads", perm=(1, 0, 2))
    s = _scale(b, b.node("MatMul", [q, k], name="cross.scores"), "cross.scale", d**-0.5)
    s = b.node("Softmax", [s], name="cross.softmax", axis=-1)
    x = b.node("MatMul", [s, v], name="cross.context")
    x = b.node("Transpose", [x], name="cross.merge", perm=(1, 0, 2))
    x = b.node("Reshape", [x], name="cross.merge_view", shape=(tokens, width))
    return linear(b, x, width, "cross.o_proj", "cross_attn.o_proj", cfg.parts.output_bias)


def _rotate(b: GraphBuilder, cfg: DecoderConfig, q: str, k: str, indices: str) -> tuple[str, str]:
    """Rotary position embedding of q and k: [T, dim] to [1, T, dim]; k becomes K_cache_out."""
    tokens = b.shape(q)[0]
    if cfg.position_rows:
        q = b.node("Reshape", [q], name="attn.q_rows", shape=(1, tokens, cfg.q_dim))
        return q, b.node("Reshape", [k], name="K_cache_out", shape=(1, tokens, cfg.kv_dim))
    # The table reaches as far as the positions of this subgraph can.
    table = (b.shape("mask")[2], cfg.rotary_dim // 2)
    rotation = cfg.rotation(_USUAL)
    rows = []
    for part in ("cos", "sin"):
        make = _table(rotation, cfg.rotary_dim, table[0], part)
        values = b.constant(f"rope.{part}_table", table, make)
        row = b.node("Gather", [values, indices], name=f"rope.{part}", axis=0)
        rows.append(_by_axis(b, cfg, row, f"rope.{part}") if cfg.mrope_section else row)
    attrs = {"rotary_embedding_dim": 0 if cfg.rotary_dim == cfg.head_dim else cfg.rotary_dim}
    if cfg.parts.interleaved:
        attrs["interleaved"] = 1
    late = cfg.parts.qk_norm != "none" and cfg.parts.qk_norm_after_rope
    out = []
    for x, part, heads, output in (
        (q, "q", cfg.num_attention_heads, "attn.q_rope"),
        (k, "k", cfg.num_key_value_heads, "K_cache_out"),
    ):
        name, shape = f"attn.{part}_rope", (1, tokens, heads * cfg.head_dim)
        x = b.node("Reshape", [x], name=f"{name}_view", shape=shape)
        rotated = f"{name}_raw" if late else output
        attrs["num_heads"] = heads
        x = b.node("RotaryEmbedding", [x, *rows], name=name, output=rotated, **attrs)
        if late:
            x = _qk_norm(b, cfg, x, part)
            x = b.node("Reshape", [x], name=f"{name}_rows", output=output, shape=shape)
        out.append(x)
    return out[0], out[1]


def _by_axis(b: GraphBuilder, cfg: DecoderConfig, x: str, name: str) -> str:
    """[3, T, pairs] of time, row and column to [1, T, pairs]: each pair from the axis that it turns
    with."""
    tokens, pairs = b.shape(x)[1:]
    if cfg.mrope_interleaved:
        mask = b.constant(f"{name}.axes", (3, 1, pairs), lambda: _axes(cfg.mrope_section, pairs))
        x = b.node("Mul", [x, mask], name=f"{name}.own")
        parts = [f"{name}.{axis}" for axis in ("time", "row", "column")]
        one, two, three = b.nodes(
            "Split", [x], name=f"{name}.split", outputs=parts, axis=0, split=[1] * 3
        )
        x = b.node("Add", [one, two], name=f"{name}.plane")
        return b.node("Add", [x, three], name=f"{name}.joined")
    own, start = [], 0
    for axis, count in enumerate(cfg.mrope_section):
        begin, end = [axis, 0, start], [axis + 1, tokens, start + count]
        part = f"{name}.{axis}"
        own.append(b.node("Slice", [x], name=part, starts=begin, ends=end, axes=[0, 1, 2]))
        start += count
    return b.node("Concat", own, name=f"{name}.joined", axis=2)


def _axes(section: tuple[int, ...], pairs: int) -> Array:
    """1 where a pair turns with an axis [3, 1, pairs]: rows and columns take every third pair as
    long as their section lasts, time all others (Qwen3-VL)."""
    import numpy as np

    pair = np.arange(pairs)
    axis = np.where(pair < 3 * np.array(section)[pair % 3], pair % 3, 0)
    mask: Array = (np.arange(3)[:, None, None] == axis).astype(np.float32)
    return mask


def _qk_norm(b: GraphBuilder, cfg: DecoderConfig, x: str, part: str) -> str:
    """RMSNorm over the channels of each head, or of all heads together."""
    tokens, width = b.shape(x)[-2:]
    shape: tuple[int, ...] = (tokens, width)
    if cfg.parts.qk_norm == "head":
        shape = (tokens, width // cfg.head_dim, cfg.head_dim)
    if b.shape(x) != shape:
        x = b.node("Reshape", [x], name=f"attn.{part}_norm_view", shape=shape)
    scale = b.weight(f"self_attn.{part}_norm.weight", shape[-1:])
    x = b.node(
        "RMSNormalization", [x, scale], name=f"attn.{part}_norm", axis=-1, epsilon=cfg.rms_norm_eps
    )
    if len(shape) == 2:
        return x
    return b.node("Reshape", [x], name=f"attn.{part}_norm_rows", shape=(tokens, width))


def _mlp(b: GraphBuilder, cfg: DecoderConfig, x: str) -> str:
    width, hidden, bias = cfg.intermediate_size, cfg.hidden_size, cfg.parts.mlp_bias
    first = "mlp.gate_proj" if cfg.parts.gated else "mlp.fc1"
    h = linear(b, x, width, first, first, bias)
    h = activated(b, cfg.parts.activation, h, "mlp")
    if not cfg.parts.gated:
        return linear(b, h, hidden, "mlp.fc2", "mlp.fc2", bias)
    up = linear(b, x, width, "mlp.up_proj", "mlp.up_proj", bias)
    h = b.node("Mul", [h, up], name="mlp.mul")
    return linear(b, h, hidden, "mlp.down_proj", "mlp.down_proj", bias)


def _residual(b: GraphBuilder, cfg: DecoderConfig, x: str, h: str, part: str, norm: str) -> str:
    """x plus what attention or the MLP adds, normalised and scaled where the family does so."""
    if cfg.parts.post_norm:
        h = _norm(b, cfg, h, norm)
    if cfg.residual_multiplier != 1:
        h = _scale(b, h, f"{part}.residual_scale", cfg.residual_multiplier)
    return b.node("Add", [x, h], name=f"{part}.residual")


def _norm(b: GraphBuilder, cfg: DecoderConfig, x: str, name: str) -> str:
    scale = f"{name}.weight"
    if cfg.parts.norm_scale:
        inputs = [x, b.weight(scale, (cfg.hidden_size,))]
    else:
        inputs = [x, b.literal(scale, (1.0,) * cfg.hidden_size)]
    if cfg.parts.norm_bias:
        inputs.append(b.weight(f"{name}.bias", (cfg.hidden_size,)))
    return b.node(cfg.parts.norm, inputs, name=name, axis=-1, epsilon=cfg.rms_norm_eps)


def _scale(b: GraphBuilder, x: str, name: str, factor: float) -> str:
    return b.node("Mul", [x, b.literal(f"{name}.value", factor)], name=name)


def _softcap(b: GraphBuilder, x: str, name: str, cap: float) -> str:
    """``cap * tanh(x / cap)``."""
    x = _scale(b, x, f"{name}.in", 1 / cap)
    x = b.node("Tanh", [x], name=name)
    return _scale(b, x, f"{name}.out", cap)


def _table(rotation: Rotation, width: int, positions: int, part: str) -> Callable[[], Array]:
    return lambda: rope_table(rotation, width, positions)[part == "sin"]


_USUAL = 0  # the layer whose rotation the graphs have from the start
