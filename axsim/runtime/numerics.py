"""The numeric part of a run: kernels of every variant, and what they are compared with.

Variants share what is equal: weights as stored, the float32 reference of the same inputs, the
calibration of the same image size, and whole results where nothing that numbers depend on differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from axsim.compiler.partition import Deployment, Subgraph
from axsim.errors import InputError, Problem
from axsim.graph.array import Array
from axsim.graph.executor import Arithmetic
from axsim.models.config import DecoderConfig, ModelConfig
from axsim.models.weights import Weights, post_tensor
from axsim.quantization.calibration import Calibration
from axsim.quantization.integer_graph import Integer, IntegerWeights
from axsim.quantization.matrix import StoredWeights
from axsim.quantization.weight_only import WeightOnly
from axsim.runtime.devices import Float32Device, SimulatedNpu, cosine
from axsim.runtime.host import Device, HostLoop, generate
from axsim.runtime.prompt import image_span, seeded_image, seeded_tokens
from axsim.runtime.reference import Picture, Recent, read, see
from axsim.runtime.results import Numerics
from axsim.runtime.sampling import Sampler, end_of_sequence

if TYPE_CHECKING:
    from axsim.runtime.chat import Chat

CALIBRATION_IMAGES = 1
"""Seeded pictures that the activations' ranges are taken from; none of them is in the request."""

_WORK = {"float32": 1.0, "u8": 0.4, "u16": 0.8, "bf16": 1.1, "prefill": 1.1, "decode": 12.0}
"""Rough cost of a multiply-accumulate by arithmetic, for the progress bar; decode steps are bound
by memory."""


@dataclass(frozen=True)
class Progress:
    """How far the kernels are: ``done`` of ``total`` units of work, now at ``label``."""

    done: float
    total: float
    label: str


OnProgress = Callable[[Progress], None]
OnToken = Callable[[Deployment, int], None]
"""Told each token that a deployment has generated."""
Key = tuple[object, ...]


class Kernels:
    """Runs the kernels of deployments of one workload.

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
    ) -> None:
        self._chat = chat
        self._on_token = on_token
        self._deployments = tuple(deployments)
        self._synthetic = checkpoint is None
        self._checkpoint: Weights | None = None
        if checkpoint is not None:
            self._checkpoint = open_checkpoint(checkpoint, deployments)
        self._on_progress = on_progress
        self._known: dict[Key, Any] = {}
        self._label = ""
        self._done = 0.0
        self._total = _total([self._work(each) for each in deployments])

    def run(self, deployment: Deployment) -> Numerics:
        """The numeric results of one deployment."""
        key = _numbers(deployment, "all")
        found: Numerics = self._once(key, lambda: self._run(deployment))
        return found

    def _run(self, deployment: Deployment) -> Numerics:
        workload = deployment.workload
        weights = self._weights(deployment)
        self._once(("references", deployment.model, workload.request.seed), self._references)
        vision_cosine = None
        images = None
        if _sees(deployment):
            key = (*_request(deployment, "vision"), *_vision_numbers(deployment))
            images = self._once(key, lambda: self._deployed_images(deployment, weights))
            vision_cosine = cosine(images, self._known[_request(deployment, "vision reference")])
        cfg = deployment.model.decoder
        if cfg is None:
            return Numerics(self._synthetic, vision_cosine, None, (), None, False)
        name = workload.label
        self._label = f"{name}: prefill"
        device = self._npu(deployment, weights, None)
        loop = HostLoop(deployment, device)
        logits = loop.prefill(self._prompt(deployment, device, images))
        request = workload.request
        stop = self._stop(deployment, cfg) if request.stop_at_eos else None
        tokens: list[int] = []
        for token in generate(loop, logits, workload.new_tokens, Sampler(request), stop):
            tokens.append(token)
            if self._on_token is not None:
                self._on_token(deployment, token)
            self._label = f"{name}: token {len(tokens)} of {workload.new_tokens}"
        reference = self._known[_request(deployment, "logits reference")]
        return Numerics(
            self._synthetic,
            vision_cosine,
            cosine(logits, reference),
            tuple(tokens),
            int(reference.argmax()),
            bool(tokens) and tokens[-1] == stop,
        )

    def _references(self) -> bool:
        """Every float32 run of the deployments, those of one architecture and seed in step."""
        groups: dict[Key, list[Deployment]] = {}
        for deployment in self._deployments:
            key = (deployment.model, deployment.workload.request.seed)
            groups.setdefault(key, []).append(deployment)
        for group in groups.values():
            weights = self._weights(group[0])
            self._label = "float32 reference and calibration: vision"
            self._see([each for each in group if _sees(each)], weights)
            self._label = "float32 reference: prefill"
            self._read([each for each in group if each.model.decoder], weights)
            weights.forget()
        return True

    def _see(self, deployments: Sequence[Deployment], weights: Weights) -> None:
        """Float32 image tokens of each request, and the ranges of activations."""
        pictures: dict[Key, list[Picture]] = {}
        for each in deployments:
            key = _request(each, "vision reference")
            pictures[key] = [Picture(each, image) for image in self._images(each)]
            if each.workload.build.vision_dtype != "bf16":
                calibration = self._once(_pixels(each, "calibration"), Calibration)
                seed, size = each.workload.request.seed, each.workload.image_size
                pictures[_pixels(each, "calibration pictures")] = [
                    Picture(each, seeded_image(size, seed, f"calibration {index}"), calibration)
                    for index in range(CALIBRATION_IMAGES)
                ]
        quantised = [e for e in deployments if e.workload.build.vision_dtype != "bf16"]
        prepare = None
        if quantised:
            packed = self._packed(quantised[0])

            def prepare(name: str) -> object:
                return packed.matrix(name, weights)

        flat = [picture for several in pictures.values() for picture in several]
        seen = iter(see(flat, weights, self._tick, prepare))
        for key, several in pictures.items():
            self._known[key] = np.concatenate([next(seen) for _ in several])

    def _read(self, deployments: Sequence[Deployment], weights: Weights) -> None:
        """Float32 logits after each prompt."""
        loops: dict[Key, tuple[HostLoop, Array]] = {}
        for each in deployments:
            device = Float32Device(each, weights, self._tick)
            images = self._known.get(_request(each, "vision reference"))
            rows = self._prompt(each, device, images)
            loops[_request(each, "logits reference")] = (HostLoop(each, device), rows)
        if not deployments:
            return
        cfg = deployments[0].model.decoder
        assert cfg is not None
        logits = read(loops.values(), cfg, self._stored(deployments[0], weights))
        self._known.update(zip(loops, logits, strict=True))

    def _deployed_images(self, deployment: Deployment, weights: Weights) -> Array:
        dtype = deployment.workload.build.vision_dtype
        if dtype == "bf16":
            arithmetic: Arithmetic = WeightOnly()
        else:
            calibration: Calibration = self._known[_pixels(deployment, "calibration")]
            qparams = calibration.qparams(_part(deployment).graph)
            arithmetic = Integer(qparams, self._packed(deployment))
        self._label = f"{deployment.workload.label}: vision"
        device = self._npu(deployment, weights, arithmetic)
        return np.concatenate(
            [device.vision(_part(deployment), image) for image in self._images(deployment)]
        )

    def _prompt(self, deployment: Deployment, device: Device, images: Array | None) -> Array:
        """Embedded prompt [tokens, hidden], the images' rows in their place."""
        workload, cfg = deployment.workload, deployment.model.decoder
        assert cfg is not None
        if self._chat is not None:
            question = self._chat.question(deployment)
            if max(question.tokens) >= cfg.vocab_size:
                what = f"the tokenizer has the id {max(question.tokens)}"
                raise InputError(f"{what}, the model {cfg.vocab_size} rows for embeddings")
            rows = device.embed(list(question.tokens))
            if images is not None and workload.images:
                rows[question.image_rows] = images.reshape(-1, rows.shape[1])
            return rows
        special = [token] if (token := end_of_sequence(cfg)) is not None else []
        count, seed = workload.prompt_tokens, workload.request.seed
        rows = device.embed(seeded_tokens(count, cfg.vocab_size, seed, special))
        if images is not None and workload.images:
            rows[image_span(workload)] = images.reshape(-1, rows.shape[1])
        return rows

    def _images(self, deployment: Deployment) -> Sequence[Array]:
        """Pictures of the request: the question's, or seeded ones."""
        if self._chat is not None:
            return self._chat.question(deployment).pictures
        workload = deployment.workload
        size, seed = workload.image_size, workload.request.seed
        return [seeded_image(size, seed, f"image {index}") for index in range(workload.images)]

    def _stop(self, deployment: Deployment, cfg: DecoderConfig) -> int | None:
        return end_of_sequence(cfg) if self._chat is None else self._chat.question(deployment).stop

    def _npu(
        self, deployment: Deployment, weights: Weights, vision: Arithmetic | None
    ) -> SimulatedNpu:
        stored = self._stored(deployment, weights) if deployment.model.decoder else weights
        kind = deployment.workload.build.vision_dtype

        def tick(macs: int, part: str) -> None:
            self._tick(macs, kind if part == "vision" else part)

        return SimulatedNpu(deployment, weights, stored, vision, WeightOnly(), tick=tick)

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
            self._known[key] = StoredWeights(weights, build.weight_dtype, overrides)
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

    def _tick(self, macs: int, kind: str) -> None:
        if self._on_progress is None:
            return
        self._done = min(self._done + macs * _WORK[kind], self._total)
        self._on_progress(Progress(self._done, self._total, self._label))

    def _work(self, deployment: Deployment) -> dict[Key, float]:
        """Units of work of each part of a variant's run, by what :meth:`_once` shares it under."""
        workload = deployment.workload
        parts: dict[Key, float] = {}
        deployed = 0.0
        if deployment.vision is not None and workload.images:
            macs = _sum_macs(deployment.vision)
            parts[_request(deployment, "vision reference")] = workload.images * macs
            if workload.build.vision_dtype != "bf16":
                parts[_pixels(deployment, "calibration")] = CALIBRATION_IMAGES * macs
            deployed += workload.images * macs * _WORK[workload.build.vision_dtype]
        cfg = deployment.model.decoder
        if cfg is not None:
            prefill = sum(map(_sum_macs, deployment.prefill)) * cfg.num_hidden_layers
            post = _sum_macs(deployment.post)
            parts[_request(deployment, "logits reference")] = prefill + post
            step = _sum_macs(deployment.decode) * cfg.num_hidden_layers + post
            steps = (workload.new_tokens - 1) * step + post
            deployed += prefill * _WORK["prefill"] + steps * _WORK["decode"]
        parts[_numbers(deployment, "all")] = deployed
        return parts


def _total(plan: Sequence[dict[Key, float]]) -> float:
    merged: dict[Key, float] = {}
    for parts in plan:
        merged |= parts
    return max(sum(merged.values()), 1.0)


def _sum_macs(subgraph: Subgraph) -> float:
    return float(sum(step.macs for segment in subgraph.program.segments for step in segment.steps))


def _sees(deployment: Deployment) -> bool:
    return deployment.vision is not None and deployment.workload.images > 0


def _part(deployment: Deployment) -> Subgraph:
    assert deployment.vision is not None
    return deployment.vision


def _pixels(deployment: Deployment, what: str) -> Key:
    """The key of something that depends on the tower and the size and seed of pictures."""
    workload = deployment.workload
    return what, deployment.model, workload.image_size, workload.request.seed


def _request(deployment: Deployment, what: str) -> Key:
    """The key of something that float32 makes of the request."""
    workload = deployment.workload
    return *_pixels(deployment, what), workload.images, workload.prompt_tokens


def _numbers(deployment: Deployment, what: str) -> Key:
    """The key of deployed numbers: chip, NPU mode and tool options change times only."""
    workload, build = deployment.workload, deployment.workload.build
    decoder = (build.weight_dtype, build.post_weight_dtype, build.prefill_chunk)
    parts = (*decoder, *_vision_numbers(deployment))
    request = workload.request.model_dump_json()
    return *_request(deployment, what), parts, build.kv_cache_len, workload.new_tokens, request


def _vision_numbers(deployment: Deployment) -> tuple[object, ...]:
    build = deployment.workload.build
    return build.vision_dtype, *build.precision_overrides.items()


def open_checkpoint(folder: str | Path, deployments: Sequence[Deployment]) -> Weights:
    """The weights of a folder; InputError when it is broken or of another architecture."""
    from axsim.models.checkpoint import Checkpoint

    checkpoint = Checkpoint(folder)
    for deployment in deployments:
        check_architecture(folder, checkpoint.config, deployment)
    return checkpoint


def weights_of(deployment: Deployment, checkpoint: str | Path | None) -> Weights:
    """The weights of a folder, or synthetic ones of the request's seed."""
    if checkpoint is not None:
        return open_checkpoint(checkpoint, [deployment])
    from axsim.models.synthetic import SyntheticWeights

    return SyntheticWeights(deployment.model, deployment.workload.request.seed)


def check_architecture(folder: str | Path, found: ModelConfig, deployment: Deployment) -> None:
    """InputError naming every field in which a checkpoint is not the deployed model."""
    wanted = flat(deployment.model)
    held = flat(found)
    differing = [
        Problem("", key, f"{folder} has {held.get(key)}, the workload {wanted.get(key)}")
        for key in dict.fromkeys([*wanted, *held])
        if held.get(key) != wanted.get(key)
    ]
    if differing:
        name = deployment.workload.name
        hint = Problem(
            "", "", f"{folder} holds another architecture than {name}", f"axsim import {folder}"
        )
        raise InputError([*differing, hint])


def flat(model: ModelConfig) -> dict[str, object]:
    """The fields of an architecture by dotted key; a part that is missing is one None."""
    found: dict[str, object] = {}
    for part, fields in asdict(model).items():
        if fields is None:
            found[part] = None
        else:
            found |= {f"{part}.{key}": value for key, value in fields.items()}
    return found
