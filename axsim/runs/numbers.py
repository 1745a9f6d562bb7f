"""The numeric part of a run: kernels of every variant, and what they are compared with.

Variants share what is equal: weights as stored, the float32 reference of the same inputs, the
calibration of the same image size, and whole results where nothing that numbers depend on differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.inputs.sampling import Sampler, end_of_sequence, family_end
from axsim.inputs.seeded import image_span, seeded_image, seeded_tokens
from axsim.kernels.array import Array
from axsim.models.checkpoint import Checkpoint
from axsim.models.prompt import Prompt, prompt_of
from axsim.models.weights import Weights, post_tensor
from axsim.numerics.comparison import cosine
from axsim.numerics.integer_graph import Integer, IntegerWeights
from axsim.numerics.ranges import Calibration
from axsim.numerics.steps import Arithmetic
from axsim.numerics.stored import StoredWeights
from axsim.numerics.weight_only import WeightOnly
from axsim.runs.checkpoints import open_checkpoint, refuse_for_networks
from axsim.runs.devices import Device
from axsim.runs.host import HostLoop
from axsim.runs.network_inputs import fed
from axsim.runs.network_numbers import network_numbers
from axsim.runs.progress import Meter, OnProgress
from axsim.runs.range_images import CalibrationPictures
from axsim.runs.reference import Picture, Recent, read, see
from axsim.runs.results import Numerics
from axsim.runs.sharing import (
    Key,
    calibrated,
    images_key,
    numbers_key,
    pixels_key,
    request_key,
    sees,
    vision_part,
)
from axsim.system.alone import alone
from axsim.system.request import Call, Pass, ride, walk
from axsim.system.request_timeline import RequestTimeline

if TYPE_CHECKING:
    from axsim.inputs.chat import Chat

IN_STEP = 8
"""Pictures whose float32 runs advance together: each holds its activations, some 40 MB at 448
pixels."""

OnToken = Callable[[Deployment, int, float], None]
"""Told each token that a deployment has generated and when, in ms after the request's arrival."""


class Kernels:
    """Runs the kernels of deployments of one workload; ``pictures`` are what a network from an
    ONNX file is compared on.

    Raises:
        InputError: the checkpoint is broken or of another architecture.
    """

    def __init__(
        self,
        deployments: Sequence[Deployment],
        checkpoint: str | Path | None = None,
        on_progress: OnProgress | None = None,
        chat: Chat | None = None,
        on_token: OnToken | None = None,
        images: str | Path | None = None,
        pictures: Sequence[Path] = (),
    ) -> None:
        refuse_for_networks(deployments, checkpoint)
        networks = [each for each in deployments if each.network is not None]
        if pictures and not networks:
            raise InputError("pictures without a question are for networks from ONNX files")
        self._fed = {id(each): fed(each, pictures, images) for each in networks}
        self._chat = chat
        self._on_token = on_token
        self._deployments = tuple(deployments)
        self._synthetic = checkpoint is None
        self._checkpoint: Checkpoint | None = None
        if checkpoint is not None:
            self._checkpoint = open_checkpoint(checkpoint, deployments)
        others = [each for each in deployments if each.network is None]
        self._calibrate_on = CalibrationPictures(others, images if others else None, chat)
        runs = {key: (len(f.request), len(f.calibration)) for key, f in self._fed.items()}
        self._meter = Meter(deployments, self._calibrate_on.count, on_progress, runs)
        self._known: dict[Key, Any] = {}

    def run(self, deployment: Deployment) -> tuple[Numerics, RequestTimeline]:
        """The numeric results of one deployment, and when what happened."""
        key = numbers_key(deployment, "all")
        if key in self._known:  # those of a deployment that differs in its times only
            numerics: Numerics = self._known[key]
            return numerics, alone(deployment, tokens=len(numerics.tokens))
        self._known[key], timeline = self._run(deployment)
        return self._known[key], timeline

    def _run(self, deployment: Deployment) -> tuple[Numerics, RequestTimeline]:
        """Simulate the request with its kernels."""
        if deployment.graph is not None:
            self._meter.label = f"{deployment.workload.label}: network"
            inputs = self._fed[id(deployment)]
            return network_numbers(deployment, inputs, self._meter.tick), alone(deployment)
        from simpy import Environment

        from axsim.system.serve import serve
        from axsim.system.soc import Soc

        workload = deployment.workload
        weights = self._weights(deployment)
        self._once(("references", deployment.model, workload.request.seed), self._references)
        see = self._deployed_images(deployment, weights)
        images = range(workload.images if sees(deployment) else 0)
        loop: HostLoop | None = None
        ends: Sequence[int] = ()
        if deployment.model.decoder is not None:
            device = self._device(deployment, weights)
            ends = self._ends(deployment) if workload.request.stop_at_eos else ()

            def prompt() -> Prompt:
                return self._prompt(deployment, device, [see(image) for image in images])

            loop = HostLoop(deployment, device, prompt, Sampler(workload.request), see)

        def compute(work: Pass, call: Call, layer: int) -> int | None:
            self._meter.label = f"{workload.label}: {_doing(work, workload.new_tokens)}"
            if loop is not None:
                return loop.compute(work, call, layer)
            see(work.index)
            return None

        def on_token(token: int, ms: float) -> None:
            if self._on_token is not None:
                self._on_token(deployment, token, ms)

        env = Environment()
        soc = Soc(env, deployment.chip, {"npu": deployment.mode.name})
        request = serve(soc, deployment, ends=ends, compute=compute, on_token=on_token)
        timeline = env.run(env.process(request))
        assert isinstance(timeline, RequestTimeline)
        seen = [see(image) for image in images]
        return self._compared(deployment, seen, loop, ends), timeline

    def _compared(
        self,
        deployment: Deployment,
        images: Sequence[Array],
        loop: HostLoop | None,
        ends: Sequence[int],
    ) -> Numerics:
        """What was computed beside the references."""
        vision = logits = token = None
        if images:
            reference = self._known[request_key(deployment, "vision reference")]
            vision = cosine(np.concatenate(images), reference)
        if loop is not None:
            reference = self._known[request_key(deployment, "logits reference")]
            logits, token = cosine(loop.first_logits, reference), int(reference.argmax())
        tokens = () if loop is None else tuple(loop.tokens)
        return Numerics(
            self._synthetic,
            vision,
            logits,
            tokens,
            token,
            bool(tokens) and tokens[-1] in ends,
            str(self._calibrate_on) if calibrated(deployment) else None,
        )

    def _references(self) -> bool:
        """Every float32 run of the deployments, those of one architecture and seed in step."""
        groups: dict[Key, list[Deployment]] = {}
        for deployment in self._deployments:
            key = (deployment.model, deployment.workload.request.seed)
            groups.setdefault(key, []).append(deployment)
        for group in groups.values():
            weights = self._weights(group[0])
            self._meter.label = "float32 reference and calibration: vision"
            self._see([each for each in group if sees(each)], weights)
            self._meter.label = "float32 reference: prefill"
            self._read([each for each in group if each.model.decoder], weights)
            weights.forget()
        return True

    def _see(self, deployments: Sequence[Deployment], weights: Weights) -> None:
        """Float32 image tokens of each request, and the ranges of activations."""
        asked: dict[Key, list[Picture]] = {}
        others: dict[Key, list[Picture]] = {}
        for each in deployments:
            key = pixels_key(each, "calibration")
            calibration = self._once(key, Calibration)
            if calibrated(each) and key not in others:
                own = self._calibrate_on.of(each)
                others[key] = [Picture(each, image, calibration) for image in own]
            observer = calibration if self._calibrate_on.asked else None
            asked[request_key(each, "vision reference")] = [
                Picture(each, image, observer) for image in self._images(each)
            ]
        quantised = [each for each in deployments if calibrated(each)]
        prepare = None
        if quantised:
            packed = self._packed(quantised[0])

            def prepare(name: str) -> object:
                return packed.prepare(name, weights)

        flat = list(chain(*asked.values(), *others.values()))
        seen = [
            output
            for start in range(0, len(flat), IN_STEP)
            for output in see(flat[start : start + IN_STEP], weights, self._meter.tick, prepare)
        ]
        outputs = iter(seen)
        for key, several in asked.items():
            self._known[key] = np.concatenate([next(outputs) for _ in several])

    def _read(self, deployments: Sequence[Deployment], weights: Weights) -> None:
        """Float32 logits after each prompt."""
        loops: dict[Key, HostLoop] = {}
        rides = []
        for each in deployments:
            key = request_key(each, "logits reference")
            if key in loops:
                continue
            loops[key] = self._reader(each, weights)
            rides.append(ride(walk(each, 1), loops[key].compute))
        if not deployments:
            return
        cfg = deployments[0].model.decoder
        assert cfg is not None
        read(rides, cfg, self._stored(deployments[0], weights))
        self._known.update({key: loop.first_logits for key, loop in loops.items()})

    def _reader(self, deployment: Deployment, weights: Weights) -> HostLoop:
        """A request's numbers in float32, given its images'."""
        device = Device(deployment, weights, tick=self._meter.tick)
        seen = self._known.get(request_key(deployment, "vision reference"), ())
        images = np.split(seen, deployment.workload.images) if len(seen) else ()

        def prompt() -> Prompt:
            return self._prompt(deployment, device, images)

        return HostLoop(deployment, device, prompt, lambda logits: int(logits.argmax()))

    def _deployed_images(self, deployment: Deployment, weights: Weights) -> Callable[[int], Array]:
        """Computes image after image in the deployed arithmetic [1, tokens, hidden]; what another
        variant has computed stays."""
        key = images_key(deployment, "vision")
        devices: list[Device] = []

        def compute(index: int) -> Array:
            if not devices:
                arithmetic = self._vision_arithmetic(deployment)
                devices.append(self._device(deployment, weights, arithmetic))
            image = self._images(deployment)[index]
            return devices[0].vision(vision_part(deployment), image)

        def see(index: int) -> Array:
            found: Array = self._once((*key, index), lambda: compute(index))
            return found

        return see

    def _vision_arithmetic(self, deployment: Deployment) -> Arithmetic:
        if deployment.workload.build.vision_dtype == "bf16":
            return WeightOnly()
        calibration: Calibration = self._known[pixels_key(deployment, "calibration")]
        qparams = calibration.qparams(vision_part(deployment).graph)
        return Integer(qparams, self._packed(deployment))

    def _prompt(self, deployment: Deployment, device: Device, images: Sequence[Array]) -> Prompt:
        """The embedded prompt, the images' rows in their place."""
        workload, cfg = deployment.workload, deployment.model.decoder
        assert cfg is not None
        if self._chat is not None:
            question = self._chat.question(deployment)
            if max(question.tokens) >= cfg.vocab_size:
                what = f"the tokenizer has the id {max(question.tokens)}"
                raise InputError(f"{what}, the model {cfg.vocab_size} rows for embeddings")
            rows = device.embed(list(question.tokens))
            return prompt_of(
                deployment.model, rows, question.image_rows, images, workload.image_size
            )
        count, seed = workload.prompt_tokens, workload.request.seed
        tokens = seeded_tokens(count, cfg.vocab_size, seed, family_end(cfg))
        image_rows = np.zeros(count, np.bool_)
        if images:
            image_rows[image_span(workload)] = True
        rows = device.embed(tokens)
        return prompt_of(deployment.model, rows, image_rows, images, workload.image_size)

    def _images(self, deployment: Deployment) -> Sequence[Array]:
        """Pictures of the request: the question's, or seeded ones."""
        if self._chat is not None:
            return self._chat.question(deployment).pictures
        workload = deployment.workload
        size, seed = workload.image_size, workload.request.seed
        return [seeded_image(size, seed, f"image {index}") for index in range(workload.images)]

    def _ends(self, deployment: Deployment) -> tuple[int, ...]:
        """The tokens that end the answer; those of a turn of a chat, too."""
        held = None if self._checkpoint is None else self._checkpoint.eos_token_ids
        ends = end_of_sequence(deployment.workload, held)
        return ends if self._chat is None else (*ends, *self._chat.question(deployment).ends)

    def _device(
        self, deployment: Deployment, weights: Weights, vision: Arithmetic | None = None
    ) -> Device:
        stored = self._stored(deployment, weights) if deployment.model.decoder else None
        kind = deployment.workload.build.vision_dtype

        def tick(macs: int, part: str) -> None:
            self._meter.tick(macs, kind if part == "vision" else part)

        return Device(deployment, weights, stored, vision, WeightOnly(), tick)

    def _weights(self, deployment: Deployment) -> Recent:
        seed = deployment.workload.request.seed

        def make() -> Recent:
            if self._checkpoint is not None:
                return Recent(self._checkpoint)
            from axsim.models.synthetic import SyntheticWeights

            return Recent(SyntheticWeights(deployment.model, seed))

        found: Recent = self._once(("weights", deployment.model, seed), make)
        return found

    def _stored(self, deployment: Deployment, weights: Weights) -> StoredWeights:
        """The decoder as the NPU stores it; only the last set of dtypes is kept."""
        build, cfg = deployment.workload.build, deployment.model.decoder
        assert cfg is not None
        key = ("stored", id(weights), build.weight_dtype, build.post_weight_dtype)
        if key not in self._known:
            for other in [k for k in self._known if k[0] == "stored"]:
                del self._known[other]
            head = post_tensor(cfg, "lm_head.weight")
            overrides = {head: build.post_weight_dtype}
            self._known[key] = StoredWeights(weights, build.weight_dtype, overrides, ready=True)
        found: StoredWeights = self._known[key]
        return found

    def _packed(self, deployment: Deployment) -> IntegerWeights:
        key = ("packed", deployment.model, deployment.workload.request.seed)
        found: IntegerWeights = self._once(key, IntegerWeights)
        return found

    def _once(self, key: Key, make: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]


def _doing(work: Pass, tokens: int) -> str:
    """What a pass is for, for people."""
    if work.stage == "vision":
        return "vision"
    return f"token {work.index} of {tokens}" if work.index else "prefill"
