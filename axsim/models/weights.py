"""Where weights come from, and how a subgraph finds its own among them.

Inside axsim every tensor has its name in the OpenGVLab InternVL2 checkpoint; decoders without a
tower use the same names (``language_model.model.layers.0.…``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Protocol

from axsim.kernels.array import Array
from axsim.models.config import (
    DecoderConfig,
    ModelConfig,
    Pixels,
    ProjectorConfig,
    VisionConfig,
)
from axsim.models.decoder import decoder_layer_graph, post_graph
from axsim.models.tower import EMBEDDINGS
from axsim.models.vision import vision_graph

DECODER = "language_model."
EMBED_TOKENS = f"{DECODER}model.embed_tokens.weight"
EMBED_POSITIONS = f"{DECODER}model.embed_positions.weight"
POSITION = f"{EMBEDDINGS}.position_embedding"

Shape = tuple[int, ...]


class Weights(Protocol):
    """A model's tensors, read or made one at a time."""

    def __call__(self, name: str) -> Array:
        """The tensor as float32; KeyError when the model has none of that name."""

    def rows(self, name: str, indices: Sequence[int]) -> Array:
        """Some rows of a matrix as float32 (the embedding table), without reading the others."""


@lru_cache(maxsize=4)
def tensor_shapes(model: ModelConfig) -> dict[str, Shape]:
    """Every tensor of the model with its shape in the checkpoint."""
    shapes: dict[str, Shape] = {}
    if model.vision is not None:
        shapes |= _vision_shapes(model.vision, model.projector)
    if model.decoder is not None:
        cfg = model.decoder
        shapes[EMBED_TOKENS] = (cfg.vocab_size, cfg.hidden_size)
        if cfg.position_rows:
            shapes[EMBED_POSITIONS] = (cfg.position_rows, cfg.hidden_size)
        layer = decoder_layer_graph(cfg, 1, 0).weights()
        for i in range(cfg.num_hidden_layers):
            shapes |= {layer_tensor(i, t.name): t.shape for t in layer}
        post = {post_tensor(cfg, t.name): t.shape for t in post_graph(cfg).weights()}
        shapes |= {n: s for n, s in post.items() if n != EMBED_TOKENS}
    return shapes


def _vision_shapes(vision: VisionConfig, projector: ProjectorConfig | None) -> dict[str, Shape]:
    """Tensors of the vision part, with those that are stored and never used."""
    # Only the position embedding depends on the picture's size, which the projector may refuse.
    size = vision.patch_size * (projector.block if projector else 1)
    whole = replace(vision, feature_layer=-1, idle=())
    graphs = [vision_graph(whole, size, projector)]
    if projector is not None and vision.pool != "none":
        graphs.append(vision_graph(whole, size))
    shapes = {t.name: t.shape for graph in graphs for t in graph.weights()}
    if POSITION in shapes:
        rows, columns = vision.positions
        fixed = vision.class_token + vision.distillation_token
        shapes[POSITION] = (1, fixed + rows * columns, vision.hidden_size)
    if "mask_token" in vision.idle:
        shapes[f"{EMBEDDINGS}.mask_token"] = (1, 1, vision.hidden_size)
    if "newline" in vision.idle and projector is not None:
        shapes["image_newline"] = (projector.hidden_size,)
    return shapes


def layer_tensor(layer: int, name: str) -> str:
    """The checkpoint's name of a tensor of a decoder-layer graph."""
    return f"{DECODER}model.layers.{layer}.{name}"


def post_tensor(cfg: DecoderConfig, name: str) -> str:
    """The checkpoint's name of a tensor of the post graph; a tied head is the embedding table."""
    if name.startswith("norm."):
        return f"{DECODER}model.{name}"
    if name == "lm_head.weight" and cfg.tie_word_embeddings:
        return EMBED_TOKENS
    return DECODER + name


def embedded(weights: Weights, cfg: DecoderConfig, tokens: Sequence[int]) -> Array:
    """Rows [tokens, hidden] of the embedding table, as the first layer takes them."""
    rows = weights.rows(EMBED_TOKENS, tokens)
    return (
        rows if cfg.embedding_multiplier == 1 else rows * rows.dtype.type(cfg.embedding_multiplier)
    )


def placed(weights: Weights, cfg: DecoderConfig, rows: Array, start: int) -> Array:
    """Embedded rows [tokens, hidden] of the tokens from ``start`` on, with their rows of the table
    of positions added where there is one."""
    if not cfg.position_rows:
        return rows
    out: Array = rows + weights.rows(EMBED_POSITIONS, range(start, start + len(rows)))
    return out


def layer_weights(weights: Weights, layer: int) -> Callable[[str], Array]:
    """The weights of decoder layer ``layer`` by their names in its graph."""
    return lambda name: weights(layer_tensor(layer, name))


def post_weights(weights: Weights, cfg: DecoderConfig) -> Callable[[str], Array]:
    """The weights of the post graph by their names in it."""
    return lambda name: weights(post_tensor(cfg, name))


def vision_weights(
    weights: Weights, vision: VisionConfig, image_size: Pixels
) -> Callable[[str], Array]:
    """The weights of the vision graph, the position embedding resampled to ``image_size``."""

    def get(name: str) -> Array:
        value = weights(name)
        if name == POSITION:
            from axsim.models.position import resample

            fixed = vision.class_token + vision.distillation_token
            target = vision.grid(image_size)
            value = resample(value, vision.positions, target, fixed, vision.resampling)
        return value

    return get
