"""Small graphs of the true structure, with weights, shared by the tests of arithmetic."""

from functools import lru_cache

import numpy as np

from axsim.models.config import DecoderConfig, ModelConfig, ProjectorConfig
from axsim.models.decoder import decoder_layer_graph
from axsim.models.synthetic import SyntheticWeights
from axsim.models.vision import vision_graph
from axsim.models.weights import layer_weights, vision_weights
from tests.models.towers import tower

VISION = tower(2, 64, 4, 56, wide=2.5)
DECODER = DecoderConfig("qwen2", 2, 128, 384, 4, 2, 320)


@lru_cache(maxsize=1)
def vision():
    """(graph, weights, image) of a tower of two layers with projector."""
    model = ModelConfig(vision=VISION, projector=ProjectorConfig(48), decoder=None)
    weights = vision_weights(SyntheticWeights(model, 3), VISION, 56)
    graph = vision_graph(VISION, 56, model.projector)
    image = np.random.default_rng(5).integers(0, 256, (1, 56, 56, 3)).astype(np.uint8)
    return graph, weights, image


def decoder(new, cached, model_weights=None):
    """(graph, weights, inputs) of layer 0."""
    model = ModelConfig(vision=None, projector=None, decoder=DECODER)
    weights = layer_weights(model_weights or SyntheticWeights(model, 3), 0)
    graph = decoder_layer_graph(DECODER, new, cached)
    rng = np.random.default_rng(new + cached)
    inputs = {}
    for name in graph.inputs:
        shape = graph.tensors[name].shape
        inputs[name] = rng.standard_normal(shape).astype(np.float32)
    inputs["indices"] = (cached + np.arange(new, dtype=np.uint32)).reshape(1, new)
    allowed = np.arange(cached + new)[None] <= cached + np.arange(new)[:, None]
    inputs["mask"] = np.where(allowed, 0, -65536).astype(np.float32)[None]
    return graph, weights, inputs


def cosine(a, b):
    a, b = (np.asarray(x, np.float64).ravel() for x in (a, b))
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
