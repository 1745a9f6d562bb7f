"""Precision of a deployment: every operator and the ends beside float32.

The vision part, or a whole network, is calibrated on some pictures and compared on others. The
decoder is compared on the prompt of the request, whose image rows come from the deployed vision
part; so errors build up from the pixels to the logits, as they do on the chip.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from axsim.compiler.partition import Deployment
from axsim.graph.ir import Graph
from axsim.kernels.array import Array
from axsim.kernels.qparams import QParams
from axsim.machine.npu import Npu
from axsim.models.weights import Weights
from axsim.numerics import comparison as precision
from axsim.numerics.comparison import Precision
from axsim.numerics.executor import Executor
from axsim.numerics.formats import VisionDtype
from axsim.numerics.integer_graph import Integer, IntegerWeights
from axsim.numerics.mixed import Overrides
from axsim.numerics.observers import OBSERVERS
from axsim.numerics.ranges import Calibration
from axsim.numerics.sensitivity import Sensitivity
from axsim.numerics.smooth import ChannelMaxima, SmoothedWeights
from axsim.numerics.steps import Arithmetic
from axsim.numerics.weight_only import WeightOnly
from axsim.runs.asked import asked_prompt, cached_prompt
from axsim.runs.devices import Device
from axsim.runs.host import HostLoop
from axsim.runs.network_inputs import Fed, Inputs
from axsim.runs.reference import Recent, read
from axsim.runs.run_pictures import Pixels
from axsim.runs.stock import decoder_weights
from axsim.spec.descriptor import override
from axsim.study.decoder_rows import decoder_rows
from axsim.study.encoders import Encoder, encoder_of
from axsim.system.request import ride, walk

PLAIN: Overrides = {}
"""The build as it is."""

OnStep = Callable[[str], None]
"""Told what is being done now."""


@dataclass(frozen=True)
class _Seen:
    """The vision part or network on the first picture: rows and the losses; and its outputs for all
    that are compared, one picture after the other, in float32."""

    rows: list[Precision]
    losses: Mapping[str, float]
    expected: Sequence[Mapping[str, Array]]


class Analysis:
    """Compares one deployment with float32. ``weights`` are a checkpoint's, or None for a network,
    which has its own; ``observer`` is a name of OBSERVERS. ``per_layer`` gives every operator
    float32 inputs, so that its row shows its own error alone. ``pixels`` are seeded by default."""

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
        if self._deployment.model.decoder is not None:
            rows += self._decoder_rows()
        return rows

    def ends(self) -> list[Precision]:
        """End to end, as the run computes it: the outputs of the vision part or network over all
        compared pictures, and the logits after the prompt; none per layer."""
        if self._mode == "PerLayer":
            return []
        found = []
        if self._seen is not None and self._encoder is not None:
            kind = self._encoder.kind
            for name in self.graph().outputs if kind == "network" else [""]:
                both = (_joined(each, name) for each in (self._seen.expected, self._deployed))
                found.append(_end(f"output {name}" if name else "vision output", kind, *both))
        if self._deployment.model.decoder is not None:
            self._on_step("decoder: the request as it is deployed")
            found.append(_end("first logits", "decoder", *self._first_logits()))
        return found

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
        self._on_step(f"{self._encoder.kind}: comparing with float32")
        graph = self.graph()
        sensitivity = None
        if self._deployment.workload.build.vision_dtype == "u8":
            sensitivity = Sensitivity(graph, self._calibration.qparams(graph))
        rows = precision.compare(
            graph,
            self._encoder_weights,
            self._arithmetic(PLAIN),
            self._encoder.compared[0],
            mode=self._mode,
            watch=None if sensitivity is None else sensitivity.watch,
        )
        lost = sensitivity.losses() if sensitivity else {}
        expected = [self._run(None, inputs) for inputs in self._encoder.compared]
        return _Seen(rows, lost, expected)

    @cached_property
    def _deployed(self) -> Sequence[Mapping[str, Array]]:
        """What the deployed vision part or network makes of every compared picture."""
        assert self._encoder is not None
        arithmetic = self._arithmetic(PLAIN)
        return [self._run(arithmetic, inputs) for inputs in self._encoder.compared]

    def _decoder_rows(self) -> list[Precision]:
        """Rows of every decoder layer and of post."""
        embed = Device(self._deployment, self._weights).embed
        exact = asked_prompt(self._deployment, embed, self._images(False))
        rounded = asked_prompt(self._deployment, embed, self._images(True))
        return decoder_rows(
            self._deployment, self._weights, exact, rounded, self._mode, self._on_step
        )

    def _first_logits(self) -> tuple[Array, Array]:
        """Logits [vocab] after the prompt in float32 and as deployed, on the way of the run: in
        chunks over the KV cache, operators merged as they are."""
        deployment, cfg = self._deployment, self._deployment.model.decoder
        assert cfg is not None
        stored = decoder_weights(deployment, self._weights)

        def loop(device: Device, images: Sequence[Array]) -> HostLoop:
            prompt = partial(asked_prompt, deployment, device.embed, images)
            made = HostLoop(deployment, device, prompt, lambda logits: int(logits.argmax()))
            before = cached_prompt(deployment, device.embed)
            if before is not None:
                made.precompute(before)
            return made

        exact = Device(deployment, self._weights)
        rounded = Device(deployment, self._weights, stored, None, WeightOnly())
        loops = [loop(exact, self._images(False)), loop(rounded, self._images(True))]
        read([ride(walk(deployment, 1), loop.compute) for loop in loops], cfg, stored)
        return loops[0].first_logits, loops[1].first_logits

    def _images(self, deployed: bool) -> Sequence[Array]:
        """The request's images as the decoder gets them."""
        if self._seen is None:
            return ()
        seen = self._deployed if deployed else self._seen.expected
        wanted = seen[: self._deployment.workload.images]
        return [np.concatenate(list(outputs.values())) for outputs in wanted]

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
        """Cosine of the outputs of a mixed build over the compared pictures: of the vision part
        all together, of a network the worst."""
        assert self._seen is not None
        assert self._encoder is not None
        arithmetic = self._arithmetic(overrides)
        found = [self._run(arithmetic, inputs, overrides) for inputs in self._encoder.compared]
        names = self.graph().outputs if self._encoder.kind == "network" else [""]
        return min(
            precision.cosine(_joined(self._seen.expected, name), _joined(found, name))
            for name in names
        )

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


def _joined(outputs: Sequence[Mapping[str, Array]], name: str) -> Array:
    """One output of every picture; all outputs of each where no ``name`` is given."""
    if name:
        return np.concatenate([np.atleast_1d(each[name]) for each in outputs])
    return np.concatenate([array for each in outputs for array in each.values()])


def _end(name: str, part: str, reference: Array, found: Array) -> Precision:
    errors = precision.errors(reference, found)
    return Precision(name, part, "output", reference.shape, "f32", *errors)
