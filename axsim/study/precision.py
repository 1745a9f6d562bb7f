"""Precision of a deployment: every operator and the ends beside float32.

The vision part is calibrated on some pictures and compared on another one. The decoder is compared
on the prompt of the request, whose image rows come from the deployed vision part; so errors build
up from the pixels to the logits, as they do on the chip.
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
from axsim.models.config import VisionConfig
from axsim.models.vision import vision_graph
from axsim.models.weights import Weights, vision_weights
from axsim.numerics import comparison as precision
from axsim.numerics.comparison import Precision
from axsim.numerics.executor import Executor
from axsim.numerics.formats import VisionDtype, VisionScheme, assign
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
from axsim.runs.reference import Recent, read
from axsim.runs.run_pictures import Pixels
from axsim.runs.stock import decoder_weights
from axsim.spec.descriptor import override
from axsim.study.decoder_rows import decoder_rows
from axsim.system.request import ride, walk

PLAIN: Overrides = {}
"""The build as it is."""

OnStep = Callable[[str], None]
"""Told what is being done now."""


@dataclass(frozen=True)
class _Seen:
    """The vision part on the first picture: rows and the losses; and its output for all that are
    compared, one picture after the other, in float32."""

    rows: list[Precision]
    losses: Mapping[str, float]
    expected: Sequence[Array]


class Analysis:
    """Compares one deployment with float32. ``observer`` is a name of OBSERVERS. ``per_layer``
    gives every operator float32 inputs, so that its row shows its own error alone. ``pixels`` are
    seeded by default."""

    def __init__(
        self,
        deployment: Deployment,
        weights: Weights,
        pixels: Pixels | None = None,
        observer: str = "MinMax",
        smooth_quant: bool = False,
        per_layer: bool = False,
        on_step: OnStep = lambda step: None,
    ) -> None:
        self._deployment = deployment
        self._weights = Recent(weights)
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
        """End to end, as the run computes it: the vision part's output over all compared pictures,
        and the logits after the prompt; none per layer."""
        if self._mode == "PerLayer":
            return []
        found = []
        if self._seen is not None:
            both = np.concatenate(self._seen.expected), np.concatenate(self._deployed_images)
            found.append(_end("vision output", "vision", *both))
        if self._deployment.model.decoder is not None:
            self._on_step("decoder: the request as it is deployed")
            found.append(_end("first logits", "decoder", *self._first_logits()))
        return found

    def vision_build(
        self, quantised: bool
    ) -> tuple[Graph, Callable[[str], Array], dict[str, QParams] | None]:
        """The vision part to export: its graph, its weights (smoothed if asked for), and, for an
        integer build, the parameters of its activations."""
        graph = self.graph()
        integers = quantised and self._deployment.workload.build.vision_dtype != "bf16"
        qparams = self._calibration.qparams(graph) if integers else None
        return graph, self._vision_weights, qparams

    @cached_property
    def _seen(self) -> _Seen | None:
        """The vision part on the first picture."""
        if self._deployment.model.vision is None:
            return None
        self._on_step("vision: comparing with float32")
        graph = self.graph()
        sensitivity = None
        if self._deployment.workload.build.vision_dtype == "u8":
            sensitivity = Sensitivity(graph, self._calibration.qparams(graph))
        rows = precision.compare(
            graph,
            self._vision_weights,
            self._arithmetic(PLAIN),
            {"input": self._all_pixels.compared[0]},
            mode=self._mode,
            watch=None if sensitivity is None else sensitivity.watch,
        )
        lost = sensitivity.losses() if sensitivity else {}
        expected = [self._run(None, image) for image in self._all_pixels.compared]
        return _Seen(rows, lost, expected)

    @cached_property
    def _deployed_images(self) -> Sequence[Array]:
        """What the deployed vision part makes of every compared picture."""
        arithmetic = self._arithmetic(PLAIN)
        return [self._run(arithmetic, image) for image in self._all_pixels.compared]

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
        seen = self._deployed_images if deployed else self._seen.expected
        return seen[: self._deployment.workload.images]

    def _run(
        self, arithmetic: Arithmetic | None, image: Array, overrides: Overrides = PLAIN
    ) -> Array:
        executor = Executor(self.graph(overrides), self._vision_weights, arithmetic)
        return np.concatenate(list(executor.run_all({"input": image}).values()))

    def losses(self) -> Mapping[str, float]:
        """The cosine of the vision output that rounding each activation to U8 is estimated to cost
        (see :mod:`axsim.numerics.sensitivity`)."""
        return self._vision.losses

    def similarity(self, overrides: Overrides) -> float:
        """Cosine of the vision output of a mixed build over the compared pictures."""
        arithmetic = self._arithmetic(overrides)
        found = [self._run(arithmetic, image, overrides) for image in self._all_pixels.compared]
        return precision.cosine(np.concatenate(self._vision.expected), np.concatenate(found))

    def encode_ms(self, overrides: Overrides) -> float:
        """Predicted vision encode time of a mixed build."""
        own = self._deployment.workload.build.precision_overrides
        keys = {"build.precision_overrides": {**own, **overrides}}
        mixed = replace(self._deployment, workload=override(self._deployment.workload, keys))
        assert mixed.vision is not None
        return Npu().run(mixed.vision.program).duration_ms

    @property
    def _vision(self) -> _Seen:
        assert self._seen is not None
        return self._seen

    @cached_property
    def _all_pixels(self) -> Pixels:
        return self._pixels or Pixels.seeded(self._deployment)

    def graph(self, overrides: Overrides = PLAIN) -> Graph:
        """The vision part of a mixed build."""
        build, part = self._deployment.workload.build, self._deployment.vision
        assert part is not None
        if not overrides:
            return part.graph
        merged: dict[str, VisionDtype] = dict(build.precision_overrides)
        merged |= dict.fromkeys(overrides, "u16")
        return assign(self._bare, VisionScheme(build.vision_dtype, merged))

    @cached_property
    def _bare(self) -> Graph:
        """The vision part without storage dtypes."""
        model = self._deployment.model
        assert model.vision is not None
        return vision_graph(model.vision, self._deployment.workload.image_size, model.projector)

    @cached_property
    def _vision_weights(self) -> Callable[[str], Array]:
        vision = self._deployment.model.vision
        assert vision is not None
        get = _Kept(self._plain(vision))
        if not self._smooth:
            return get
        self._on_step("SmoothQuant: channels of the norms' outputs")
        maxima = ChannelMaxima()
        executor = Executor(self.graph(), get, maxima)
        for image in self._all_pixels.calibration:
            executor.run_all({"input": image})
        return _Kept(SmoothedWeights(self.graph(), get, maxima.maxima))

    def _plain(self, vision: VisionConfig) -> Callable[[str], Array]:
        return vision_weights(self._weights, vision, self._deployment.workload.image_size)

    @cached_property
    def _calibration(self) -> Calibration:
        calibration = Calibration(self._observer)
        executor = Executor(self.graph(), self._vision_weights, calibration)
        for index, image in enumerate(self._all_pixels.calibration):
            self._on_step(f"calibration: picture {index + 1}")
            executor.run_all({"input": image})
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


def _end(name: str, part: str, reference: Array, found: Array) -> Precision:
    errors = precision.errors(reference, found)
    return Precision(name, part, "output", reference.shape, "f32", *errors)
