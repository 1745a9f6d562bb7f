"""The vision subgraph: image normalisation, InternViT (or a plain ViT), pixel shuffle, projector.

Weights are named as in the OpenGVLab checkpoint. The position embedding has the size of the
requested image: :mod:`axsim.models.weights` resamples the checkpoint's.
"""

from __future__ import annotations

from axsim.graph.builder import GraphBuilder
from axsim.graph.ir import Graph
from axsim.models.config import ProjectorConfig, VisionConfig
from axsim.models.layers import linear

IMAGE_MEAN = (123.675, 116.28, 103.53)
"""ImageNet mean of R, G, B on the 0-255 scale (0.485, 0.456, 0.406)."""
IMAGE_STD = (58.395, 57.12, 57.375)
"""ImageNet standard deviation of R, G, B on the 0-255 scale (0.229, 0.224, 0.225)."""

LAYERS = "vision_model.encoder.layers"
EMBEDDINGS = "vision_model.embeddings"


def vision_graph(
    vision: VisionConfig,
    image_size: int,
    projector: ProjectorConfig | int | None = None,
) -> Graph:
    """The vision subgraph for one image of ``image_size`` x ``image_size`` pixels.

    Input ``input``: [1, S, S, 3] u8, RGB. Output ``output``: [1, image tokens, decoder hidden], or
    the tower's last hidden state [1, tokens, hidden] when ``projector`` is None. An int is the
    decoder's hidden size with InternVL's standard projector.

    Raises ValueError when the image size does not fit the patch size or the pixel shuffle.
    """
    if isinstance(projector, int):
        projector = ProjectorConfig(projector)
    b = GraphBuilder("vision")
    x = _embed(b, vision, image_size)
    for i in range(vision.num_hidden_layers):
        x = _layer(b, vision, i, x)
    if projector is not None:
        x = _project(b, vision, projector, vision.grid(image_size), x)
    return b.build([b.node("Reshape", [x], name="output", shape=(1, *b.shape(x)))])


def _embed(b: GraphBuilder, vision: VisionConfig, size: int) -> str:
    """Pixels to tokens [T, hidden], position added."""
    hidden, channels, patch = vision.hidden_size, vision.num_channels, vision.patch_size
    patches = vision.grid(size) ** 2
    x = b.input("input", (1, size, size, channels), "u8")
    x = b.node("Cast", [x], name="normalize.cast", to="f32")
    mean = b.literal("normalize.mean", IMAGE_MEAN)
    inverse = b.literal("normalize.scale", tuple(1 / s for s in IMAGE_STD))
    x = b.node("Sub", [x, mean], name="normalize.sub")
    x = b.node("Mul", [x, inverse], name="normalize.mul")
    x = b.node("Transpose", [x], name="normalize.transpose", perm=(0, 3, 1, 2))
    weight = b.weight(f"{EMBEDDINGS}.patch_embedding.weight", (hidden, channels, patch, patch))
    bias = b.weight(f"{EMBEDDINGS}.patch_embedding.bias", (hidden,))
    x = b.node("Conv", [x, weight, bias], name="patch_embedding", strides=(patch, patch))
    x = b.node("Reshape", [x], name="patch_embedding.flatten", shape=(hidden, patches))
    x = b.node("Transpose", [x], name="patch_embedding.transpose", perm=(1, 0))
    if vision.class_token:
        token = b.weight(f"{EMBEDDINGS}.class_embedding", (1, 1, hidden))
        token = b.node("Reshape", [token], name="class_embedding.row", shape=(1, hidden))
        x = b.node("Concat", [token, x], name="class_embedding.concat", axis=0)
    tokens = b.shape(x)[0]
    position = b.weight(f"{EMBEDDINGS}.position_embedding", (1, tokens, hidden))
    position = b.node("Reshape", [position], name="position_embedding.rows", shape=(tokens, hidden))
    return b.node("Add", [x, position], name="position_embedding.add")


def _layer(b: GraphBuilder, vision: VisionConfig, i: int, x: str) -> str:
    """x + ls1 * attention(norm1(x)), then x + ls2 * mlp(norm2(x)); x is [T, hidden]."""
    name, weights = f"layers.{i}", f"{LAYERS}.{i}"
    h = _norm(b, vision.layer_norm_eps, x, f"{name}.norm1", f"{weights}.norm1")
    h = _attention(b, vision, h, f"{name}.attn", f"{weights}.attn")
    x = _residual(b, vision, x, h, f"{name}.attn.residual", f"{name}.ls1", f"{weights}.ls1")
    h = _norm(b, vision.layer_norm_eps, x, f"{name}.norm2", f"{weights}.norm2")
    width = vision.intermediate_size
    h = linear(b, h, width, f"{name}.mlp.fc1", f"{weights}.mlp.fc1", bias=True)
    h = b.node("Gelu", [h], name=f"{name}.mlp.gelu")
    h = linear(b, h, vision.hidden_size, f"{name}.mlp.fc2", f"{weights}.mlp.fc2", bias=True)
    return _residual(b, vision, x, h, f"{name}.mlp.residual", f"{name}.ls2", f"{weights}.ls2")


def _attention(b: GraphBuilder, vision: VisionConfig, x: str, name: str, weights: str) -> str:
    tokens, hidden = b.shape(x)
    heads, d = vision.num_attention_heads, vision.head_dim
    x = linear(b, x, 3 * hidden, f"{name}.qkv", f"{weights}.qkv", bias=vision.qkv_bias)
    parts = [f"{name}.{p}" for p in "qkv"]
    q, k, v = b.nodes("Split", [x], name=f"{name}.split", outputs=parts, axis=1, split=[hidden] * 3)
    q, k, v = (
        b.node("Reshape", [t], name=f"{t}_view", shape=(tokens, heads, d)) for t in (q, k, v)
    )
    q = b.node("Transpose", [q], name=f"{name}.q_heads", perm=(1, 0, 2))  # [heads, T, d]
    k = b.node("Transpose", [k], name=f"{name}.k_heads", perm=(1, 2, 0))  # [heads, d, T]
    v = b.node("Transpose", [v], name=f"{name}.v_heads", perm=(1, 0, 2))  # [heads, T, d]
    scale = b.literal(f"{name}.scale.value", d**-0.5)
    q = b.node("Mul", [q, scale], name=f"{name}.scale")
    s = b.node("MatMul", [q, k], name=f"{name}.scores")  # [heads, T, T]
    s = b.node("Softmax", [s], name=f"{name}.softmax", axis=-1)
    x = b.node("MatMul", [s, v], name=f"{name}.context")
    x = b.node("Transpose", [x], name=f"{name}.merge", perm=(1, 0, 2))
    x = b.node("Reshape", [x], name=f"{name}.merge_view", shape=(tokens, hidden))
    return linear(b, x, hidden, f"{name}.proj", f"{weights}.proj", bias=True)


def _project(
    b: GraphBuilder, vision: VisionConfig, projector: ProjectorConfig, grid: int, x: str
) -> str:
    """Pixel shuffle (v2) and mlp1: [T, hidden] to [image tokens, decoder hidden]."""
    block, hidden = projector.block, vision.hidden_size
    if grid % block:
        raise ValueError(f"{grid} patches along a side are no multiple of the {block} joined")
    side, width = grid // block, hidden * block * block
    if vision.class_token:
        x = b.node("Slice", [x], name="drop_class", starts=[1], ends=[grid * grid + 1], axes=[0])
    # out[i, j, (di * block + dj) * hidden + c] = x[block * i + di, block * j + dj, c]
    shape = (side, block, side, block, hidden)
    x = b.node("Reshape", [x], name="pixel_shuffle.blocks", shape=shape)
    x = b.node("Transpose", [x], name="pixel_shuffle", perm=(0, 2, 1, 3, 4))
    x = b.node("Reshape", [x], name="pixel_shuffle.tokens", shape=(side * side, width))
    x = _norm(b, projector.layer_norm_eps, x, "mlp1.0", "mlp1.0")
    x = linear(b, x, projector.hidden_size, "mlp1.1", "mlp1.1", bias=True)
    x = b.node("Gelu", [x], name="mlp1.2")
    return linear(b, x, projector.hidden_size, "mlp1.3", "mlp1.3", bias=True)


def _norm(b: GraphBuilder, epsilon: float, x: str, name: str, weights: str) -> str:
    width = b.shape(x)[-1:]
    scale, bias = b.weight(f"{weights}.weight", width), b.weight(f"{weights}.bias", width)
    return b.node("LayerNormalization", [x, scale, bias], name=name, axis=-1, epsilon=epsilon)


def _residual(
    b: GraphBuilder, vision: VisionConfig, x: str, h: str, name: str, scale: str, weight: str
) -> str:
    if vision.layer_scale:
        h = b.node("Mul", [h, b.weight(weight, (vision.hidden_size,))], name=scale)
    return b.node("Add", [x, h], name=name)
