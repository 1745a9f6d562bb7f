"""The host loop in miniature: prefill in chunks with history, decode against a compiled cache."""

import numpy as np

from axsim.graph.ir import Graph
from axsim.models.config import DecoderConfig, ModelConfig
from axsim.models.decoder import decoder_layer_graph, of_layer, post_graph
from axsim.models.prompt import Prompt
from axsim.models.vision import vision_graph
from axsim.models.weights import Weights, layer_weights, post_weights, vision_weights
from axsim.models.window import windowed
from axsim.numerics.executor import Executor
from axsim.numerics.formats import assign_decoder
from axsim.numerics.weight_only import WeightOnly

MASKED = np.float32(-65536)


def relative(got: np.ndarray, expected: np.ndarray) -> float:
    """Greatest difference over greatest magnitude."""
    assert got.shape == expected.shape
    return float(np.abs(got - expected).max() / np.abs(expected).max())


def in_bf16(graph: Graph) -> Graph:
    """The graph with bf16 activations and matrices."""
    graph = assign_decoder(graph, "bf16")
    kinds = {t.name: "bf16" for t in graph.tensors.values() if t.dtype == "f32"}
    vectors = {t.name: "f32" for t in graph.weights() if sum(n > 1 for n in t.shape) == 1}
    tables = {t.name: "f32" for t in graph.tensors.values() if t.name.startswith("rope.")}
    return graph.with_dtypes(kinds | vectors | tables)


def execute(graph: Graph, weights: Weights, inputs: dict, bf16: bool = False) -> dict:
    """Run a graph in float32 or in bf16."""
    if not bf16:
        return Executor(graph, weights).run_all(inputs)
    return Executor(in_bf16(graph), weights, WeightOnly()).run_all(inputs)


def run_vision(
    weights: Weights, model: ModelConfig, image: np.ndarray, bf16: bool = False
) -> np.ndarray:
    """[1, H, W, 3] u8 to [1, tokens, hidden]; the tower alone without a projector."""
    return run_vision_outputs(weights, model, image, bf16)["output"]


def run_vision_outputs(
    weights: Weights, model: ModelConfig, image: np.ndarray, bf16: bool = False
) -> dict:
    """Every output of the vision part by name."""
    size = image.shape[1:3]
    graph = vision_graph(model.vision, size, model.projector)
    get = vision_weights(weights, model.vision, size)
    return execute(graph, get, {"input": image}, bf16)


class Loop:
    """Feeds embeddings to the decoder; caches hold ``kv_len`` rows, zero until written."""

    def __init__(
        self, weights: Weights, cfg: DecoderConfig, kv_len: int, bf16: bool = False
    ) -> None:
        self.weights, self.cfg, self.kv_len, self.bf16 = weights, cfg, kv_len, bf16
        shape = (cfg.num_hidden_layers, 1, kv_len, cfg.kv_dim)
        self.k, self.v = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self.position = 0
        self.prompt: Prompt | None = None

    def prefill(self, x: np.ndarray) -> np.ndarray:
        """One chunk [tokens, hidden] after the rows so far; returns the last layer's output."""
        new, past = len(x), self.position
        causal = np.where(np.tri(new, dtype=bool), np.float32(0), MASKED)
        mask = np.concatenate([np.zeros((new, past), np.float32), causal], axis=1)
        if self.prompt is not None:
            mask = self.prompt.opened(mask[None], past, new)[0]
        return self._layers(x, past, mask)

    def decode(self, x: np.ndarray) -> np.ndarray:
        """One token [1, hidden] against the whole compiled cache."""
        mask = np.full((1, self.kv_len + 1), MASKED)
        mask[0, : self.position] = 0
        mask[0, -1] = 0
        return self._layers(x, self.kv_len, mask)

    def logits(self, x: np.ndarray) -> np.ndarray:
        """Post on each row of [tokens, hidden]."""
        graph, get = post_graph(self.cfg), post_weights(self.weights, self.cfg)
        rows = [{"input": row[None, None]} for row in x]
        return np.concatenate([execute(graph, get, row, self.bf16)["output"][0] for row in rows])

    def _layers(self, x: np.ndarray, cached: int, mask: np.ndarray) -> np.ndarray:
        new, rows = len(x), slice(self.position, self.position + len(x))
        graph = decoder_layer_graph(self.cfg, new, cached)
        indices = np.arange(rows.start, rows.stop, dtype=np.uint32)[None]
        indices = np.broadcast_to(indices, (self.cfg.position_axes, new))
        if self.prompt is not None:
            indices = self.prompt.indices(rows.start, new)
        dummy = np.zeros((1, 1, self.cfg.hidden_size), np.float32)
        x = x[None]
        for i in range(self.cfg.num_hidden_layers):
            inputs = {
                "K_cache": self.k[i, :, :cached] if cached else dummy,
                "V_cache": self.v[i, :, :cached] if cached else dummy,
                "indices": indices,
                "input": x,
                "mask": mask[None],
            }
            own = inputs | {"mask": windowed(mask[None], self.cfg, i, rows.start)}
            layer = of_layer(graph, self.cfg, i)
            out = execute(layer, layer_weights(self.weights, i), own, self.bf16)
            self.k[i, 0, rows], self.v[i, 0, rows] = out["K_cache_out"][0], out["V_cache_out"][0]
            x = out["output"]
            if self.prompt is not None and i < len(self.prompt.deep):
                added = self.prompt.deep[i][rows]
                x[0, : len(added)] += added
        self.position += new
        return x[0]
