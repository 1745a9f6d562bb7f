"""Precision of a deployment: every operator and the ends beside float32.

The vision part, or a whole network, is calibrated on some pictures and compared on another one. The
decoder is compared on the prompt of the request, whose image rows come from the deployed vision
part; so errors build up from the pixels to the logits, as they do on the chip.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from axsim.compiler.partition import Deployment
from axsim.graph.ir import Graph
from axsim.inputs.sampling import family_end
from axsim.inputs.seeded import image_span, seeded_tokens
from axsim.kernels.array import Array
from axsim.kernels.qparams import QParams
from axsim.machine.npu import Npu
from axsim.models.config import DecoderConfig
from axsim.models.decoder import decoder_layer_graph, of_layer, post_graph
from axsim.models.prompt import Prompt, prompt_of
from axsim.models.weights import Weights, embedded, layer_tensor, layer_weights, post_weights
from axsim.models.window import windowed
from axsim.numerics import comparison as precision
from axsim.numerics.comparison import Precision
from axsim.numerics.executor import Executor
from axsim.numerics.formats import DecoderScheme, VisionDtype, assign
from axsim.numerics.integer_graph import Integer, IntegerWeights
from axsim.numerics.mixed import Overrides
from axsim.numerics.observers import OBSERVERS
from axsim.numerics.ranges import Calibration
from axsim.numerics.sensitivity import Sensitivity
from axsim.numerics.smooth import ChannelMaxima, SmoothedWeights
from axsim.numerics.steps import Arithmetic
from axsim.numerics.stored import StoredWeights
from axsim.numerics.weight_only import WeightOnly
from axsim.runs.host import prefill_mask
from axsim.runs.network_inputs import Fed, Inputs
from axsim.runs.reference import Recent
from axsim.spec.descriptor import override
from axsim.study.encoders import Encoder, Pixels, encoder_of

PLAIN: Overrides = {}
"""The build as it is."""

OnStep = Callable[[str], None]
"""Told what is being done now."""


@dataclass(frozen=True)
class _Seen:
    """The encoder on one picture: rows, those of its outputs, these in float32, and the losses."""

    rows: list[Precision]
    ends: list[Precision]
    expected: Mapping[str, Array]
    losses: Mapping[str, float]


class Analysis:
    """Compares one deployment with float32. ``weights`` are a checkpoint's, or None for a network,
    which has its own; ``observer`` is a name of OBSERVERS. ``per_layer`` gives every operator
    float32 inputs, so that its row shows its own error alone."""

    def __init__(
        self,
        deployment: Deployment,
        weights: Weights | None,
        pixels: Pixels | Fed | None = None,
        observer: str = "MinMax",
        smooth_quant: bool = False,
        per_layer: bool = False,
        on_step: OnStep = lambda step: None,
    ) -> None:
        self._deployment = deployment
        self._recent = None if weights is None else Recent(weights)
        self._pixels = pixels
        self._observer = OBSERVERS[observer]
        self._smooth = smooth_quant
        self._mode: precision.Mode = "PerLayer" if per_layer else "EndToEnd"
        self._on_step = on_step
        self._packed = IntegerWeights()

    def operators(self) -> list[Precision]:
        """Every operator of vision part, decoder layers and head, in order of execution."""
        rows = []
        if self._seen is not None:
            rows += self._seen.rows
        if self._read is not None:
            rows += self._read[0]
        return rows

    def ends(self) -> list[Precision]:
        """End to end: the outputs of the vision part or network, and the logits after the prompt;
        none per layer."""
        if self._mode == "PerLayer":
            return []
        found = self._seen.ends if self._seen is not None else []
        return found + ([self._read[1]] if self._read is not None else [])

    def encoder_build(
        self, quantised: bool
    ) -> tuple[Graph, Callable[[str], Array], dict[str, QParams] | None]:
        """The vision part or network to export: its graph, its weights (smoothed if asked for),
        and, for an integer build, the parameters of its activations."""
        graph = self.graph() if quantised else self._bare
        integers = quantised and self._deployment.workload.build.vision_dtype != "bf16"
        qparams = self._calibration.qparams(graph) if integers else None
        return graph, self._encoder_weights, qparams

    @cached_property
    def _seen(self) -> _Seen | None:
        """The vision part or network on the first picture."""
        if self._encoder is None:
            return None
        kind = self._encoder.kind
        self._on_step(f"{kind}: comparing with float32")
        graph = self.graph()
        sensitivity = None
        if self._deployment.workload.build.vision_dtype == "u8":
            sensitivity = Sensitivity(graph, self._calibration.qparams(graph))
        outputs: dict[str, tuple[Array, Array]] = {}
        rows = precision.compare(
            graph,
            self._encoder_weights,
            self._arithmetic(PLAIN),
            self._encoder.request[0],
            outputs=outputs,
            mode=self._mode,
            watch=None if sensitivity is None else sensitivity.watch,
        )
        lost = sensitivity.losses() if sensitivity else {}
        ends = [
            _end("vision output" if kind == "vision" else f"output {name}", kind, *outputs[name])
            for name in graph.outputs
        ]
        return _Seen(rows, ends, {name: pair[0] for name, pair in outputs.items()}, lost)

    @cached_property
    def _read(self) -> tuple[list[Precision], Precision] | None:
        """Rows of every decoder layer and of post, and the logits'."""
        cfg = self._deployment.model.decoder
        if cfg is None:
            return None
        build, count = self._deployment.workload.build, self._deployment.workload.prompt_tokens
        exact, rounded = self._prompt(cfg, False), self._prompt(cfg, True)
        reference, found = exact.rows[None], rounded.rows[None]
        scheme = DecoderScheme(build.weight_dtype, build.hidden_dtype)
        graph = assign(decoder_layer_graph(cfg, count, 0), scheme)
        dummy = np.zeros((1, 1, cfg.hidden_size), np.float32)
        fixed = {
            "K_cache": dummy,
            "V_cache": dummy,
            "indices": exact.indices(0, count),
            "mask": exact.opened(prefill_mask(count, 0, count), 0, count),
        }
        arithmetic = WeightOnly()
        rows: list[Precision] = []
        for layer in range(cfg.num_hidden_layers):
            self._on_step(f"decoder: layer {layer + 1} of {cfg.num_hidden_layers}")
            outputs: dict[str, tuple[Array, Array]] = {}
            mask = windowed(fixed["mask"], cfg, layer, 0)
            compared = precision.compare(
                of_layer(graph, cfg, layer),
                layer_weights(self._weights, layer),
                arithmetic,
                {**fixed, "mask": mask, "input": reference},
                stored=self._stored(layer_tensor(layer, ""), build.weight_dtype),
                found={**fixed, "mask": mask, "input": found},
                outputs=outputs,
                mode=self._mode,
            )
            rows += [_within(f"decoder.{layer}.", row) for row in compared]
            reference, found = outputs["output"]
            if layer < len(exact.deep):
                reference, found = reference + exact.deep[layer], found + rounded.deep[layer]
        scheme = DecoderScheme(build.post_weight_dtype, build.hidden_dtype)
        outputs = {}
        compared = precision.compare(
            assign(post_graph(cfg), scheme),
            post_weights(self._weights, cfg),
            arithmetic,
            {"input": reference[:, -1:]},
            found={"input": found[:, -1:]},
            outputs=outputs,
            mode=self._mode,
        )
        rows += [_within("post.", row) for row in compared]
        return rows, _end("first logits", "decoder", *outputs["output"])

    def _stored(self, prefix: str, dtype: str) -> Callable[[str], Any]:
        """A decoder layer's weights as the NPU stores them, 4-bit codes of a checkpoint kept."""
        stored = StoredWeights(self._weights, dtype)
        return lambda name: stored(prefix + name)

    def _prompt(self, cfg: DecoderConfig, deployed: bool) -> Prompt:
        """The embedded prompt of the request."""
        workload = self._deployment.workload
        avoid = family_end(cfg)
        tokens = seeded_tokens(workload.prompt_tokens, cfg.vocab_size, workload.request.seed, avoid)
        rows = embedded(self._weights, cfg, tokens)
        image_rows, seen = np.zeros(len(tokens), np.bool_), []
        if self._deployment.model.vision is not None and workload.images:
            arithmetic = self._arithmetic(PLAIN) if deployed else None
            image_rows[image_span(workload)] = True
            assert self._encoder is not None
            runs = (self._run(arithmetic, inputs) for inputs in self._encoder.request)
            seen = [np.concatenate(list(outputs.values())) for outputs in runs]
        return prompt_of(self._deployment.model, rows, image_rows, seen, workload.image_size)

    def _run(
        self, arithmetic: Arithmetic | None, inputs: Inputs, overrides: Overrides = PLAIN
    ) -> dict[str, Array]:
        executor = Executor(self.graph(overrides), self._encoder_weights, arithmetic)
        return executor.run_all(inputs)

    def losses(self) -> Mapping[str, float]:
        """The cosine of the outputs that rounding each activation to U8 is estimated to cost (see
        :mod:`axsim.numerics.sensitivity`)."""
        assert self._seen is not None
        return self._seen.losses

    def similarity(self, overrides: Overrides) -> float:
        """Cosine of the worst output of a mixed build on the first picture."""
        assert self._seen is not None
        assert self._encoder is not None
        if not overrides and self._mode == "EndToEnd":
            return min(end.cosine for end in self._seen.ends)
        found = self._run(self._arithmetic(overrides), self._encoder.request[0], overrides)
        return min(precision.cosine(self._seen.expected[name], y) for name, y in found.items())

    def encode_ms(self, overrides: Overrides) -> float:
        """Predicted time of one run of a mixed build."""
        own = self._deployment.workload.build.precision_overrides
        keys = {"build.precision_overrides": {**own, **overrides}}
        mixed = replace(self._deployment, workload=override(self._deployment.workload, keys))
        assert mixed.encoder is not None
        return Npu().run(mixed.encoder.program).duration_ms

    @cached_property
    def _encoder(self) -> Encoder | None:
        return encoder_of(self._deployment, self._recent, self._pixels)

    @property
    def _weights(self) -> Recent:
        """Those of a decoder, which no network is."""
        assert self._recent is not None
        return self._recent

    def graph(self, overrides: Overrides = PLAIN) -> Graph:
        """The vision part or network of a mixed build."""
        build, part = self._deployment.workload.build, self._deployment.encoder
        assert part is not None
        if not overrides:
            return part.graph
        assert self._encoder is not None
        merged: dict[str, VisionDtype] = dict(build.precision_overrides)
        merged |= dict.fromkeys(overrides, "u16")
        return self._encoder.assign(self._bare, build.vision_dtype, merged)

    @cached_property
    def _bare(self) -> Graph:
        """The same without storage dtypes."""
        assert self._encoder is not None
        return self._encoder.bare()

    @cached_property
    def _encoder_weights(self) -> Callable[[str], Array]:
        assert self._encoder is not None
        get = _Kept(self._encoder.weights)
        if not self._smooth:
            return get
        self._on_step("SmoothQuant: channels of the norms' outputs")
        maxima = ChannelMaxima()
        executor = Executor(self.graph(), get, maxima)
        for inputs in self._encoder.calibration:
            executor.run_all(inputs)
        return _Kept(SmoothedWeights(self.graph(), get, maxima.maxima))

    @cached_property
    def _calibration(self) -> Calibration:
        assert self._encoder is not None
        calibration = Calibration(self._observer)
        executor = Executor(self.graph(), self._encoder_weights, calibration)
        for index, inputs in enumerate(self._encoder.calibration):
            self._on_step(f"calibration: picture {index + 1}")
            executor.run_all(inputs)
        return calibration

    def _arithmetic(self, overrides: Overrides) -> Arithmetic:
        if self._deployment.workload.build.vision_dtype == "bf16":
            return WeightOnly()
        return Integer(self._calibration.qparams(self.graph(overrides)), self._packed)


class _Kept:
    """``weights``, of which small tensors are kept: matrices are packed once anyway."""

    def __init__(self, weights: Callable[[str], Array]) -> None:
        self._weights = weights
        self._small: dict[str, Array] = {}

    def __call__(self, name: str) -> Array:
        if name in self._small:
            return self._small[name]
        value = self._weights(name)
        if value.ndim != 2:
            self._small[name] = value
        return value


def _within(part: str, row: Precision) -> Precision:
    return replace(row, node=part + row.node, tensor=part + row.tensor)


def _end(name: str, part: str, reference: Array, found: Array) -> Precision:
    errors = precision.errors(reference, found)
    return Precision(name, part, "output", reference.shape, "f32", *errors)
