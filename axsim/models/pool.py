"""One row for a whole picture."""

from __future__ import annotations

from axsim.graph.builder import GraphBuilder
from axsim.models.config import VisionConfig
from axsim.models.layers import activated, linear
from axsim.models.tower import norm


def pool(b: GraphBuilder, vision: VisionConfig, x: str) -> str:
    """[T, hidden] to [1, hidden], or [1, pool_width] behind a linear layer."""
    if vision.pool == "class":
        x = b.node("Slice", [x], name="pool.class", starts=[0], ends=[1], axes=[0])
    else:
        x = _attend(b, vision, x)
    if vision.pool_width:
        x = linear(b, x, vision.pool_width, "pool.dense", "pool.dense", bias=vision.pool_bias)
    return b.node("Tanh", [x], name="pool.tanh") if vision.pool_tanh else x


def _attend(b: GraphBuilder, vision: VisionConfig, x: str) -> str:
    """Attention of one learnt query over all tokens, then an MLP (SigLIP's head)."""
    tokens, hidden = b.shape(x)
    heads, d = vision.num_attention_heads, vision.head_dim
    probe = b.weight("pool.probe", (1, 1, hidden))
    # Added to nothing, so that a learnt row becomes an activation like any other.
    q = b.node("Reshape", [probe], name="pool.probe_row", shape=(1, hidden))
    zero = b.literal("pool.zero", 0.0)
    q = b.node("Add", [q, zero], name="pool.query")
    q = linear(b, q, hidden, "pool.q", "pool.q", bias=True)
    k = linear(b, x, hidden, "pool.k", "pool.k", bias=True)
    v = linear(b, x, hidden, "pool.v", "pool.v", bias=True)
    q = b.node("Reshape", [q], name="pool.q_view", shape=(1, heads, d))
    k = b.node("Reshape", [k], name="pool.k_view", shape=(tokens, heads, d))
    v = b.node("Reshape", [v], name="pool.v_view", shape=(tokens, heads, d))
    q = b.node("Transpose", [q], name="pool.q_heads", perm=(1, 0, 2))
    k = b.node("Transpose", [k], name="pool.k_heads", perm=(1, 2, 0))
    v = b.node("Transpose", [v], name="pool.v_heads", perm=(1, 0, 2))
    q = b.node("Mul", [q, b.literal("pool.scale.value", d**-0.5)], name="pool.scale")
    s = b.node("MatMul", [q, k], name="pool.scores")
    s = b.node("Softmax", [s], name="pool.softmax", axis=-1)
    x = b.node("MatMul", [s, v], name="pool.context")
    x = b.node("Transpose", [x], name="pool.merge", perm=(1, 0, 2))
    x = b.node("Reshape", [x], name="pool.merge_view", shape=(1, hidden))
    x = linear(b, x, hidden, "pool.proj", "pool.proj", bias=True)
    h = norm(b, vision, x, "pool.norm", "pool.norm")
    h = linear(b, h, vision.intermediate_size, "pool.fc1", "pool.fc1", bias=True)
    h = activated(b, vision.activation, h, "pool")
    h = linear(b, h, hidden, "pool.fc2", "pool.fc2", bias=True)
    return b.node("Add", [x, h], name="pool.residual")
