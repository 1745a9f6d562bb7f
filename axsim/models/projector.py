"""The projector in a graph: image tokens in the decoder's width."""

from __future__ import annotations

from axsim.graph.builder import GraphBuilder
from axsim.models.config import ProjectorConfig, VisionConfig
from axsim.models.layers import linear
from axsim.models.parts import ACTIVATIONS
from axsim.models.resampler import resample_rows
from axsim.models.tower import any_norm
from axsim.models.tower_windows import Grid


def project(
    b: GraphBuilder,
    vision: VisionConfig,
    projector: ProjectorConfig,
    grid: Grid,
    x: str,
    deepstack: str = "",
) -> str:
    """[T, hidden] in the order of the picture to [image tokens, decoder hidden]; ``deepstack``
    names the projector of an inner layer."""
    name = deepstack or "mlp1"
    norm_first = projector.norm_first and not deepstack
    if vision.prefix_tokens and not deepstack:
        first, last = vision.prefix_tokens, b.shape(x)[0]
        x = b.node("Slice", [x], name="drop_class", starts=[first], ends=[last], axes=[0])
    if projector.queries:
        return resample_rows(b, projector, grid, x)
    if norm_first:
        x = _norm(b, projector, x, name)
    x = _join(b, vision, projector, grid, x, f"{deepstack}.pixel_shuffle".removeprefix("."))
    if projector.joined_size:
        x = linear(b, x, projector.joined_size, f"{name}.join", f"{name}.join")
    if not norm_first:
        x = _norm(b, projector, x, name)
    inner = projector.inner_size or projector.hidden_size
    for layer in range(projector.layers):
        at = 2 * layer + 1  # as torch numbers norm, linear, activation, linear
        last = layer == projector.layers - 1
        width = projector.hidden_size if last else inner
        x = linear(b, x, width, f"{name}.{at}", f"{name}.{at}", bias=projector.bias)
        if not last:
            act = ACTIVATIONS[projector.activation]
            x = b.node(act.op, [x], name=f"{name}.{at + 1}", **act.attrs)
    return x


def crossed(b: GraphBuilder, projector: ProjectorConfig, x: str) -> list[str]:
    """Keys and values [1, T, decoder hidden] of rows [T, hidden] for each decoder layer that
    attends to them."""
    width, tokens = projector.hidden_size, b.shape(x)[0]
    found = []
    for index in range(projector.cross_layers):
        for part, bias in (("k", False), ("v", True)):
            name = f"cross.{index}.{part}"
            rows = linear(b, x, width, f"{name}.proj", name, bias=bias)
            found.append(b.node("Reshape", [rows], name=name, shape=(1, tokens, width)))
    return found


def _norm(b: GraphBuilder, projector: ProjectorConfig, x: str, name: str) -> str:
    if projector.norm == "none":
        return x
    return any_norm(b, projector.norm, projector.layer_norm_eps, x, f"{name}.0", f"{name}.0")


def _join(
    b: GraphBuilder, vision: VisionConfig, projector: ProjectorConfig, grid: Grid, x: str, name: str
) -> str:
    """Blocks of patches to image tokens."""
    (rows, columns), block, hidden = grid, projector.block, vision.hidden_size
    if rows % block or columns % block:
        raise ValueError(
            f"{rows} x {columns} patches are no multiple of the {block} x {block} joined"
        )
    if block == 1:
        return x
    high, wide = rows // block, columns // block
    if projector.join == "average":
        x = b.node("Transpose", [x], name=f"{name}.channels", perm=(1, 0))
        x = b.node("Reshape", [x], name=f"{name}.grid", shape=(1, hidden, rows, columns))
        sides = [block, block]
        x = b.node("AveragePool", [x], name=name, kernel_shape=sides, strides=sides)
        x = b.node("Reshape", [x], name=f"{name}.flat", shape=(hidden, high * wide))
        return b.node("Transpose", [x], name=f"{name}.tokens", perm=(1, 0))
    # concat: out[i, j, (di * block + dj) * hidden + c] = x[block * i + di, block * j + dj, c]
    shape = (high, block, wide, block, hidden)
    perm = (0, 2, 1, 3, 4) if projector.join == "concat" else (0, 2, 4, 1, 3)
    x = b.node("Reshape", [x], name=f"{name}.blocks", shape=shape)
    x = b.node("Transpose", [x], name=name, perm=perm)
    return b.node(
        "Reshape", [x], name=f"{name}.tokens", shape=(high * wide, hidden * block * block)
    )
