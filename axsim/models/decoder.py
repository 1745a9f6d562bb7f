"""The decoder's subgraphs: one layer on some new tokens, and post (final norm and head).

Weights inside a layer graph are named relative to the layer, so that one graph serves all layers.
"""

from __future__ import annotations

from collections.abc import Callable

from axsim.graph.builder import GraphBuilder
from axsim.graph.ir import Graph
from axsim.kernels.array import Array
from axsim.models.config import DecoderConfig
from axsim.models.families import ACTIVATIONS
from axsim.models.layers import linear
from axsim.models.rope import rope_table


def decoder_layer_graph(cfg: DecoderConfig, new_tokens: int, cached_tokens: int) -> Graph:
    """One decoder layer on ``new_tokens`` that attend to ``cached_tokens`` earlier ones and to
    themselves. Decode is ``(1, kv_cache_len)``, prefill chunk k is ``(chunk, k * chunk)``.

    Inputs: K_cache, V_cache [1, cached, kv_dim] (rows are tokens; K after rotation), or the unused
    dummy [1, 1, hidden] when nothing is cached; indices [1, new] u32, absolute positions below
    cached + new; input [1, new, hidden]; mask [1, new, cached + new], added to the scores.
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
    indices = b.input("indices", (1, new_tokens), "u32")
    x = b.input("input", (1, new_tokens, hidden))
    mask = b.input("mask", (1, new_tokens, cached_tokens + new_tokens))

    x = b.node("Reshape", [x], name="input.rows", shape=(new_tokens, hidden))
    h = _norm(b, cfg, x, "input_layernorm")
    caches = (k_cache, v_cache) if cached_tokens else None
    attention = _attention(b, cfg, h, caches, indices, mask)
    if cfg.parts.parallel:
        h = b.node("Add", [attention, _mlp(b, cfg, h)], name="mlp.parallel")
        x = b.node("Add", [x, h], name="mlp.residual")
    else:
        x = b.node("Add", [x, attention], name="attn.residual")
        h = _mlp(b, cfg, _norm(b, cfg, x, "post_attention_layernorm"))
        x = b.node("Add", [x, h], name="mlp.residual")
    x = b.node("Reshape", [x], name="output", shape=(1, new_tokens, hidden))
    return b.build(["K_cache_out", "V_cache_out", "output"])


def post_graph(cfg: DecoderConfig) -> Graph:
    """Final norm and language-model head for one token.

    Input ``input`` [1, 1, hidden]; output ``output`` [1, 1, vocab]. Weights: ``norm.*`` and
    ``lm_head.*``.
    """
    b = GraphBuilder("post")
    x = b.input("input", (1, 1, cfg.hidden_size))
    x = b.node("Reshape", [x], name="input.rows", shape=(1, cfg.hidden_size))
    x = _norm(b, cfg, x, "norm")
    x = linear(b, x, cfg.vocab_size, "lm_head", "lm_head", bias=cfg.parts.head_bias)
    return b.build([b.node("Reshape", [x], name="output", shape=(1, 1, cfg.vocab_size))])


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
    k = linear(b, x, cfg.kv_dim, "attn.k_proj", "self_attn.k_proj", parts.qkv_bias)
    v = linear(b, x, cfg.kv_dim, "attn.v_proj", "self_attn.v_proj", parts.qkv_bias)
    if parts.head_norm:
        q, k = _head_norm(b, cfg, q, "q"), _head_norm(b, cfg, k, "k")
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
    scale = b.literal("attn.scale.value", d**-0.5)
    s = b.node("Mul", [s, scale], name="attn.scale")
    s = b.node("Add", [s, mask], name="attn.mask")
    s = b.node("Softmax", [s], name="attn.softmax", axis=-1)
    x = b.node("MatMul", [s, v], name="attn.context")
    x = b.node("Transpose", [x], name="attn.merge", perm=(2, 0, 1, 3))
    x = b.node("Reshape", [x], name="attn.merge_view", shape=(tokens, cfg.q_dim))
    return linear(b, x, cfg.hidden_size, "attn.o_proj", parts.attention_output, parts.output_bias)


def _rotate(b: GraphBuilder, cfg: DecoderConfig, q: str, k: str, indices: str) -> tuple[str, str]:
    """Rotary position embedding of q and k: [T, dim] to [1, T, dim]; k becomes K_cache_out."""
    tokens = b.shape(q)[0]
    # The table reaches as far as the positions of this subgraph can.
    table = (b.shape("mask")[2], cfg.rotary_dim // 2)
    rows = []
    for part in ("cos", "sin"):
        values = b.constant(f"rope.{part}_table", table, _table(cfg, table[0], part))
        rows.append(b.node("Gather", [values, indices], name=f"rope.{part}", axis=0))
    rotary = 0 if cfg.rotary_dim == cfg.head_dim else cfg.rotary_dim
    out = []
    for x, heads, name, output in (
        (q, cfg.num_attention_heads, "attn.q_rope", "attn.q_rope"),
        (k, cfg.num_key_value_heads, "attn.k_rope", "K_cache_out"),
    ):
        x = b.node("Reshape", [x], name=f"{name}_view", shape=(1, tokens, heads * cfg.head_dim))
        out.append(
            b.node(
                "RotaryEmbedding",
                [x, *rows],
                name=name,
                output=output,
                num_heads=heads,
                rotary_embedding_dim=rotary,
            )
        )
    return out[0], out[1]


def _head_norm(b: GraphBuilder, cfg: DecoderConfig, x: str, part: str) -> str:
    """RMSNorm over each head's channels."""
    tokens, width = b.shape(x)
    shape = (tokens, width // cfg.head_dim, cfg.head_dim)
    x = b.node("Reshape", [x], name=f"attn.{part}_norm_view", shape=shape)
    scale = b.weight(f"self_attn.{part}_norm.weight", (cfg.head_dim,))
    x = b.node(
        "RMSNormalization", [x, scale], name=f"attn.{part}_norm", axis=-1, epsilon=cfg.rms_norm_eps
    )
    return b.node("Reshape", [x], name=f"attn.{part}_norm_rows", shape=(tokens, width))


def _mlp(b: GraphBuilder, cfg: DecoderConfig, x: str) -> str:
    width, hidden, bias = cfg.intermediate_size, cfg.hidden_size, cfg.parts.mlp_bias
    act = ACTIVATIONS[cfg.parts.activation]
    first = "mlp.gate_proj" if cfg.parts.gated else "mlp.fc1"
    h = linear(b, x, width, first, first, bias)
    h = b.node(act.op, [h], name=f"mlp.{act.label}", **act.attrs)
    if not cfg.parts.gated:
        return linear(b, h, hidden, "mlp.fc2", "mlp.fc2", bias)
    up = linear(b, x, width, "mlp.up_proj", "mlp.up_proj", bias)
    h = b.node("Mul", [h, up], name="mlp.mul")
    return linear(b, h, hidden, "mlp.down_proj", "mlp.down_proj", bias)


def _norm(b: GraphBuilder, cfg: DecoderConfig, x: str, name: str) -> str:
    inputs = [x, b.weight(f"{name}.weight", (cfg.hidden_size,))]
    if cfg.parts.norm == "LayerNormalization":
        inputs.append(b.weight(f"{name}.bias", (cfg.hidden_size,)))
    return b.node(cfg.parts.norm, inputs, name=name, axis=-1, epsilon=cfg.rms_norm_eps)


def _table(cfg: DecoderConfig, positions: int, part: str) -> Callable[[], Array]:
    return lambda: rope_table(cfg, positions)[part == "sin"]
