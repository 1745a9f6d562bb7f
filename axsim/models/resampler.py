"""The resampler in a graph: learnt queries attend to all patches (MiniCPM-V)."""

from __future__ import annotations

from axsim.graph.builder import GraphBuilder
from axsim.kernels.array import Array
from axsim.models.config import ProjectorConfig
from axsim.models.layers import linear
from axsim.models.tower import any_norm
from axsim.models.tower_windows import Grid

HEAD_DIM = 128
"""Channels of a head of its attention, at every width."""


def resample_rows(b: GraphBuilder, projector: ProjectorConfig, grid: Grid, x: str) -> str:
    """[patches, tower hidden] to [queries, decoder hidden]."""
    hidden, count, patches = projector.hidden_size, projector.queries, b.shape(x)[0]
    heads, epsilon = hidden // HEAD_DIM, projector.layer_norm_eps
    operator = "LayerNormalization"
    if b.shape(x)[1] != hidden:
        x = linear(b, x, hidden, "resampler.kv_proj", "resampler.kv_proj")
    v = any_norm(b, operator, epsilon, x, "resampler.ln_kv", "resampler.ln_kv")
    position = b.constant("resampler.position", (patches, hidden), lambda: sines(hidden, grid))
    k = b.node("Add", [v, position], name="resampler.keys")
    query = b.weight("resampler.query", (count, hidden))
    # Added to nothing, so that learnt rows become activations like any others.
    query = b.node("Add", [query, b.literal("resampler.zero", 0.0)], name="resampler.queries")
    q = any_norm(b, operator, epsilon, query, "resampler.ln_q", "resampler.ln_q")
    q = linear(b, q, hidden, "resampler.q", "resampler.q", bias=True)
    k = linear(b, k, hidden, "resampler.k", "resampler.k", bias=True)
    v = linear(b, v, hidden, "resampler.v", "resampler.v", bias=True)
    q = b.node("Reshape", [q], name="resampler.q_view", shape=(count, heads, HEAD_DIM))
    k = b.node("Reshape", [k], name="resampler.k_view", shape=(patches, heads, HEAD_DIM))
    v = b.node("Reshape", [v], name="resampler.v_view", shape=(patches, heads, HEAD_DIM))
    q = b.node("Transpose", [q], name="resampler.q_heads", perm=(1, 0, 2))
    k = b.node("Transpose", [k], name="resampler.k_heads", perm=(1, 2, 0))
    v = b.node("Transpose", [v], name="resampler.v_heads", perm=(1, 0, 2))
    scale = b.literal("resampler.scale.value", HEAD_DIM**-0.5)
    q = b.node("Mul", [q, scale], name="resampler.scale")
    s = b.node("MatMul", [q, k], name="resampler.scores")
    s = b.node("Softmax", [s], name="resampler.softmax", axis=-1)
    x = b.node("MatMul", [s, v], name="resampler.context")
    x = b.node("Transpose", [x], name="resampler.merge", perm=(1, 0, 2))
    x = b.node("Reshape", [x], name="resampler.merge_view", shape=(count, hidden))
    x = linear(b, x, hidden, "resampler.proj", "resampler.proj", bias=True)
    x = any_norm(b, operator, epsilon, x, "resampler.ln_post", "resampler.ln_post")
    return linear(b, x, hidden, "resampler.out", "resampler.out")


def sines(width: int, grid: Grid) -> Array:
    """Positions of patches [rows * columns, width]: the first half of the channels tells the
    column, the second the row, each with sines and then cosines."""
    import numpy as np

    row, column = (axis.reshape(-1).astype(np.float64) for axis in np.mgrid[: grid[0], : grid[1]])
    quarter = width // 4
    frequency = 10_000.0 ** (-np.arange(quarter) / quarter)
    parts = []
    for place in (column, row):
        angle = place[:, None] * frequency
        parts += [np.sin(angle), np.cos(angle)]
    table: Array = np.concatenate(parts, axis=1).astype(np.float32)
    return table
