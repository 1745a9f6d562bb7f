"""A vision transformer in a graph: pixels to tokens, and layer by layer.

Tokens are rows [T, hidden]: those before the patches, then patches row by row; with windows, window
by window.
"""

from __future__ import annotations

from collections.abc import Callable

from axsim.graph.builder import GraphBuilder
from axsim.kernels.array import Array
from axsim.models.config import Pixels, VisionConfig
from axsim.models.layers import activated, linear
from axsim.models.tower_windows import Grid, by_windows, regions, split

LAYERS = "vision_model.encoder.layers"
EMBEDDINGS = "vision_model.embeddings"


def embed(b: GraphBuilder, vision: VisionConfig, image_size: Pixels) -> str:
    """Pixels to tokens [T, hidden], position added."""
    hidden, patch = vision.hidden_size, vision.patch_size
    rows, columns = grid = vision.grid(image_size)
    if vision.stem == "sound":
        return _positioned(b, vision, _heard(b, vision, image_size))
    x = _frames(b, vision, image_size)
    kernel = (hidden, b.shape(x)[1], patch, patch)
    weights = [b.weight(f"{EMBEDDINGS}.patch_embedding.weight", kernel)]
    if vision.patch_bias:
        weights.append(b.weight(f"{EMBEDDINGS}.patch_embedding.bias", (hidden,)))
    x = b.node("Conv", [x, *weights], name="patch_embedding", strides=(patch, patch))
    x = b.node("Reshape", [x], name="patch_embedding.flatten", shape=(hidden, rows * columns))
    x = b.node("Transpose", [x], name="patch_embedding.transpose", perm=(1, 0))
    before = [("class_embedding", 1)] if vision.class_token else []
    before += [("distillation_token", 1)] if vision.distillation_token else []
    x = _behind(b, before, x, "class_embedding.concat")
    if vision.position == "learned":
        x = _positioned(b, vision, x)
    if vision.register_tokens:
        # Behind the class token in checkpoints; attention does not care about the order.
        x = _registers(b, vision, x)
    if vision.pre_norm:
        x = norm(b, vision, x, "pre_norm", "vision_model.pre_norm")
    return by_windows(b, vision, grid, x) if vision.window_size else x


def _positioned(b: GraphBuilder, vision: VisionConfig, x: str) -> str:
    """Plus the table of positions."""
    shape = (1, b.shape(x)[0], vision.hidden_size)
    position = b.weight(f"{EMBEDDINGS}.position_embedding", shape)
    position = b.node("Reshape", [position], name="position_embedding.rows", shape=shape[1:])
    return b.node("Add", [x, position], name="position_embedding.add")


def _heard(b: GraphBuilder, vision: VisionConfig, frames: Pixels) -> str:
    """A spectrogram to tokens [T, hidden]: convolutions over three frames each."""
    hidden, x = vision.hidden_size, _frames(b, vision, frames)
    for number, stride in ((1, 1), (2, vision.patch_size)):
        name = f"{EMBEDDINGS}.conv{number}"
        weights = [
            b.weight(f"{name}.weight", (hidden, b.shape(x)[1], 1, 3)),
            b.weight(f"{name}.bias", (hidden,)),
        ]
        x = b.node(
            "Conv", [x, *weights], name=f"conv{number}", strides=(1, stride), pads=(0, 1, 0, 1)
        )
        x = activated(b, vision.activation, x, f"conv{number}")
    x = b.node("Reshape", [x], name="frames.flatten", shape=(hidden, b.shape(x)[3]))
    return b.node("Transpose", [x], name="frames.transpose", perm=(1, 0))


def layer(b: GraphBuilder, vision: VisionConfig, grid: Grid, i: int, x: str) -> str:
    """x + ls1 * attention(norm1(x)), then x + ls2 * mlp(norm2(x)); x is [T, hidden]."""
    name, weights = f"layers.{i}", f"{LAYERS}.{i}"
    h = norm(b, vision, x, f"{name}.norm1", f"{weights}.norm1")
    windowed = bool(vision.window_size) and i not in vision.full_attention_layers
    h = _attention(b, vision, grid, h, f"{name}.attn", f"{weights}.attn", windowed)
    x = _residual(b, vision, x, h, f"{name}.attn.residual", f"{name}.ls1", f"{weights}.ls1")
    h = norm(b, vision, x, f"{name}.norm2", f"{weights}.norm2")
    h = _mlp(b, vision, h, f"{name}.mlp", f"{weights}.mlp")
    return _residual(b, vision, x, h, f"{name}.mlp.residual", f"{name}.ls2", f"{weights}.ls2")


def norm(b: GraphBuilder, vision: VisionConfig, x: str, name: str, weights: str) -> str:
    """The tower's norm over the last dimension."""
    return any_norm(b, vision.norm, vision.layer_norm_eps, x, name, weights)


def any_norm(
    b: GraphBuilder, operator: str, epsilon: float, x: str, name: str, weights: str
) -> str:
    """A norm over the last dimension; a LayerNormalization has a bias."""
    width = b.shape(x)[-1:]
    inputs = [x, b.weight(f"{weights}.weight", width)]
    if operator == "LayerNormalization":
        inputs.append(b.weight(f"{weights}.bias", width))
    return b.node(operator, inputs, name=name, axis=-1, epsilon=epsilon)


def _frames(b: GraphBuilder, vision: VisionConfig, image_size: Pixels) -> str:
    """Normalised pixels [1, channels * frames, H, W]; frames of a channel side by side."""
    height, width = vision.canvas(image_size)
    channels, frames = vision.num_channels, vision.temporal_patch_size
    x = b.input("input", (1, height, width, channels), "u8")
    x = b.node("Cast", [x], name="normalize.cast", to="f32")
    mean = b.literal("normalize.mean", tuple(255 * m for m in vision.image_mean))
    inverse = b.literal("normalize.scale", tuple(1 / (255 * s) for s in vision.image_std))
    x = b.node("Sub", [x, mean], name="normalize.sub")
    x = b.node("Mul", [x, inverse], name="normalize.mul")
    x = b.node("Transpose", [x], name="normalize.transpose", perm=(0, 3, 1, 2))
    if frames == 1:
        return x
    x = b.node("Reshape", [x], name="frames.one", shape=(1, channels, 1, height, width))
    x = b.node("Concat", [x] * frames, name="frames", axis=2)
    return b.node("Reshape", [x], name="frames.all", shape=(1, channels * frames, height, width))


def _behind(b: GraphBuilder, tokens: list[tuple[str, int]], x: str, name: str) -> str:
    """The learnt tokens, then x."""
    if not tokens:
        return x
    hidden = b.shape(x)[1]
    rows = []
    for token, count in tokens:
        weight = b.weight(f"{EMBEDDINGS}.{token}", (1, count, hidden))
        rows.append(b.node("Reshape", [weight], name=f"{token}.row", shape=(count, hidden)))
    return b.node("Concat", [*rows, x], name=name, axis=0)


def _registers(b: GraphBuilder, vision: VisionConfig, x: str) -> str:
    """Register tokens between the class token and the patches."""
    tokens = [("register_tokens", vision.register_tokens)]
    fixed, total = int(vision.class_token), b.shape(x)[0]
    if not fixed:
        return _behind(b, tokens, x, "register_tokens.concat")
    parts = ["class_embedding.first", "patches.rest"]
    first, rest = b.nodes(
        "Split", [x], name="register_tokens.split", outputs=parts, axis=0, split=[1, total - 1]
    )
    rest = _behind(b, tokens, rest, "register_tokens.concat")
    return b.node("Concat", [first, rest], name="class_embedding.again", axis=0)


def _qkv(b: GraphBuilder, vision: VisionConfig, x: str, name: str, weights: str) -> list[str]:
    """q, k and v [T, hidden] each."""
    hidden = vision.hidden_size
    parts = [f"{name}.{p}" for p in "qkv"]
    if vision.qkv_bias and not vision.key_bias:
        bias = {"q": True, "k": False, "v": True}
        return [linear(b, x, hidden, f"{name}.{p}", f"{weights}.{p}", bias[p]) for p in "qkv"]
    x = linear(b, x, 3 * hidden, f"{name}.qkv", f"{weights}.qkv", bias=vision.qkv_bias)
    return b.nodes("Split", [x], name=f"{name}.split", outputs=parts, axis=1, split=[hidden] * 3)


def _attention(
    b: GraphBuilder,
    vision: VisionConfig,
    grid: Grid,
    x: str,
    name: str,
    weights: str,
    windowed: bool,
) -> str:
    q, k, v = _qkv(b, vision, x, name, weights)
    if vision.qk_norm:
        rms, epsilon = "RMSNormalization", vision.layer_norm_eps
        q = any_norm(b, rms, epsilon, q, f"{name}.q_norm", f"{weights}.q_norm")
        k = any_norm(b, rms, epsilon, k, f"{name}.k_norm", f"{weights}.k_norm")
    if vision.rotary != "none":
        q, k = _rotate(b, vision, grid, q, k, name)
    if windowed:
        every = regions(vision, grid)
        qkv = zip((q, k, v), "qkv", strict=True)
        sides = [split(b, each, every, f"{name}.{part}") for each, part in qkv]
        found = []
        for number, (region, *own) in enumerate(zip(every, *sides, strict=True)):
            label = name if len(every) == 1 else f"{name}.{number}"
            found.append(_attended(b, vision, own, label, (region.windows,)))
        x = found[0] if len(found) == 1 else b.node("Concat", found, name=f"{name}.all", axis=0)
    else:
        x = _attended(b, vision, [q, k, v], name)
    return linear(b, x, vision.hidden_size, f"{name}.proj", f"{weights}.proj", vision.output_bias)


def _attended(
    b: GraphBuilder, vision: VisionConfig, qkv: list[str], name: str, lead: tuple[int, ...] = ()
) -> str:
    """Attention [T, hidden] of q, k and v [T, hidden] (rotated ones [1, T, hidden]): among all
    rows, or within each of so many windows of equal size."""
    total, hidden = b.shape(qkv[0])[-2:]
    heads, d = vision.num_attention_heads, vision.head_dim
    tokens = total // lead[0] if lead else total
    q, k, v = (
        b.node("Reshape", [t], name=f"{name}.{p}_view", shape=(*lead, tokens, heads, d))
        for t, p in zip(qkv, "qkv", strict=True)
    )
    n = len(lead)
    axes = tuple(range(n))
    rows, turned = (*axes, n + 1, n, n + 2), (*axes, n + 1, n + 2, n)
    q = b.node("Transpose", [q], name=f"{name}.q_heads", perm=rows)
    k = b.node("Transpose", [k], name=f"{name}.k_heads", perm=turned)
    v = b.node("Transpose", [v], name=f"{name}.v_heads", perm=rows)
    scale = b.literal(f"{name}.scale.value", d**-0.5)
    q = b.node("Mul", [q, scale], name=f"{name}.scale")
    s = b.node("MatMul", [q, k], name=f"{name}.scores")
    s = b.node("Softmax", [s], name=f"{name}.softmax", axis=-1)
    x = b.node("MatMul", [s, v], name=f"{name}.context")
    x = b.node("Transpose", [x], name=f"{name}.merge", perm=rows)
    return b.node("Reshape", [x], name=f"{name}.merge_view", shape=(total, hidden))


def _rotate(
    b: GraphBuilder, vision: VisionConfig, grid: Grid, q: str, k: str, name: str
) -> tuple[str, str]:
    """q and k rotated by the row and column of each patch."""
    tokens, hidden = b.shape(q)
    tables = []
    for part in ("cos", "sin"):
        table = f"rope.{part}_table"
        if not b.has(table):
            shape = (1, tokens, vision.head_dim // 2)
            b.constant(table, shape, _table(vision, grid, part))
        tables.append(table)
    out = []
    for x, part in ((q, "q"), (k, "k")):
        shape = (1, tokens, hidden)
        x = b.node("Reshape", [x], name=f"{name}.{part}_rope_view", shape=shape)
        heads = vision.num_attention_heads
        out.append(
            b.node("RotaryEmbedding", [x, *tables], name=f"{name}.{part}_rope", num_heads=heads)
        )
    return out[0], out[1]


def _table(vision: VisionConfig, grid: Grid, part: str) -> Callable[[], Array]:
    def make() -> Array:
        from axsim.models.rope2d import axial_table

        return axial_table(vision, grid)[part == "sin"]

    return make


def _mlp(b: GraphBuilder, vision: VisionConfig, x: str, name: str, weights: str) -> str:
    width, hidden, bias = vision.intermediate_size, vision.hidden_size, vision.mlp_bias
    first = "gate_proj" if vision.gated else "fc1"
    h = linear(b, x, width, f"{name}.{first}", f"{weights}.{first}", bias)
    h = activated(b, vision.activation, h, name)
    if not vision.gated:
        return linear(b, h, hidden, f"{name}.fc2", f"{weights}.fc2", bias)
    up = linear(b, x, width, f"{name}.up_proj", f"{weights}.up_proj", bias)
    h = b.node("Mul", [h, up], name=f"{name}.mul")
    return linear(b, h, hidden, f"{name}.down_proj", f"{weights}.down_proj", bias)


def _residual(
    b: GraphBuilder, vision: VisionConfig, x: str, h: str, name: str, scale: str, weight: str
) -> str:
    if vision.layer_scale:
        h = b.node("Mul", [h, b.weight(weight, (vision.hidden_size,))], name=scale)
    return b.node("Add", [x, h], name=name)
