"""The vision subgraph: image normalisation, a tower, and the projector into a decoder.

Weights are named as in the OpenGVLab checkpoint. The position embedding has the size of the
requested image: :mod:`axsim.models.weights` resamples the checkpoint's.
"""

from __future__ import annotations

from axsim.graph.builder import GraphBuilder
from axsim.graph.ir import Graph
from axsim.models.config import Pixels, ProjectorConfig, VisionConfig
from axsim.models.pool import pool
from axsim.models.projector import crossed, project
from axsim.models.tower import embed, layer, norm
from axsim.models.tower_windows import raster


def vision_graph(
    vision: VisionConfig,
    image_size: Pixels,
    projector: ProjectorConfig | int | None = None,
) -> Graph:
    """The vision subgraph for one image.

    Input ``input``: [1, H, W, 3] u8, RGB. Output ``output``: [1, image tokens, decoder hidden]; the
    tower's last hidden state [1, tokens, hidden] or its pooled row [1, 1, width] when ``projector``
    is None. An int is the decoder's hidden size with InternVL's standard projector. Outputs
    ``deepstack.0`` and so on: [1, image tokens, decoder hidden] to add after decoder layers. Where
    decoder layers attend to the tower, ``output`` is its last hidden state, and ``cross.0.k``,
    ``cross.0.v`` and so on are the keys and values of each layer, [1, tokens, decoder hidden].

    Raises ValueError when the image size does not fit the projector.
    """
    if isinstance(projector, int):
        projector = ProjectorConfig(projector)
    b = GraphBuilder("vision")
    grid = vision.grid(image_size)
    x = embed(b, vision, image_size)
    deep: list[str] = []
    for i in range(vision.layers):
        x = layer(b, vision, grid, i, x)
        if projector is not None and i in projector.deepstack_layers:
            name = f"deepstack.{len(deep)}"
            h = project(b, vision, projector, grid, raster(b, vision, grid, x, name), name)
            deep.append(b.node("Reshape", [h], name=name, shape=(1, *b.shape(h))))
    if vision.post_norm and "post_norm" not in vision.idle:
        x = norm(b, vision, x, "post_norm", "vision_model.post_norm")
    if projector is not None and projector.cross_layers:
        deep = crossed(b, projector, x)
    elif projector is not None:
        x = project(b, vision, projector, grid, raster(b, vision, grid, x, "raster"))
    elif vision.pool != "none":
        x = pool(b, vision, x)
    else:
        x = raster(b, vision, grid, x, "raster")
    return b.build([b.node("Reshape", [x], name="output", shape=(1, *b.shape(x))), *deep])
