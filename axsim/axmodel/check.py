"""What a build loses: each file beside float32, on inputs that float32 made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from axsim.axmodel.build import Build, Part
from axsim.axmodel.model import Model
from axsim.inputs.sampling import family_end
from axsim.inputs.seeded import seeded_image, seeded_tokens
from axsim.kernels.array import Array
from axsim.models.config import DecoderConfig
from axsim.models.decoder import decoder_layer_graph, of_layer, post_graph
from axsim.models.weights import Weights, embedded, layer_weights, post_weights
from axsim.models.window import windowed
from axsim.numerics.comparison import cosine
from axsim.numerics.executor import Executor
from axsim.runs.host import prefill_mask


@dataclass
class Check:
    """Runs the files of a build in its order; the hidden states of one prompt chunk go through
    float32 layers, and each file gets what float32 has there."""

    build: Build
    weights: Weights | None

    def __post_init__(self) -> None:
        self._hidden: Array | None = None

    def cosine(self, part: Part, path: Path) -> float:
        """Of the file's output beside float32; the least one of several outputs."""
        model = Model(path, self.build.deployment.chip)
        if part.part == "network":
            return self._network(model)
        if part.part == "vision":
            return self._vision(model)
        return self._post(model) if part.part == "post" else self._layer(model, part.layer)

    def _network(self, model: Model) -> float:
        inputs, expected = self.build.network.reference()
        picture = model.manifest.picture
        fed = dict(inputs)
        if picture is not None:
            fed[picture.name] = fed.pop(picture.tensor)
        found = model.run(0, fed)
        return min(cosine(value, found[name]) for name, value in expected.items())

    def _vision(self, model: Model) -> float:
        workload = self.build.deployment.workload
        graph, get, _ = self.build.analysis.encoder_build(False)
        image = seeded_image(workload.image_size, workload.request.seed, "image 0")
        expected = Executor(graph, get, None).run_all({"input": image})
        found = model.run(0, {model.inputs(0)[0].name: image})
        return min(cosine(value, _real(found[name])) for name, value in expected.items())

    def _layer(self, model: Model, layer: int) -> float:
        cfg, chunk = self._decoder, self.build.deployment.workload.build.prefill_chunk
        assert self.weights is not None
        if self._hidden is None:
            seed = self.build.deployment.workload.request.seed
            tokens = seeded_tokens(chunk, cfg.vocab_size, seed, family_end(cfg))
            self._hidden = embedded(self.weights, cfg, tokens)[None]
        dummy = np.zeros((1, 1, cfg.hidden_size), np.float32)
        indices = np.tile(np.arange(chunk, dtype=np.uint32), (cfg.position_axes, 1))
        mask = windowed(prefill_mask(chunk, 0, chunk), cfg, layer, 0)
        feed = {"K_cache": dummy, "V_cache": dummy, "indices": indices, "mask": mask}
        feed["input"] = self._hidden
        graph = of_layer(decoder_layer_graph(cfg, chunk, 0), cfg, layer)
        expected = Executor(graph, layer_weights(self.weights, layer), None).run_all(feed)
        found = model.run(1, feed)
        self._hidden = expected["output"]
        return min(cosine(value, _real(found[name])) for name, value in expected.items())

    def _post(self, model: Model) -> float:
        assert self.weights is not None
        assert self._hidden is not None
        get = post_weights(self.weights, self._decoder)
        feed = {"input": self._hidden[:, -1:]}
        expected = Executor(post_graph(self._decoder), get, None).run_all(feed)["output"]
        return cosine(expected, _real(model.run(0, feed)["output"]))

    @property
    def _decoder(self) -> DecoderConfig:
        cfg = self.build.deployment.model.decoder
        assert cfg is not None
        return cfg


def _real(array: Array) -> Array:
    return array.astype(np.float32)
