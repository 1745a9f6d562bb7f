"""What float32 makes of every request of a run, and the ranges of activations.

Requests of one architecture and seed advance in step, so that each weight is made once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from axsim.compiler.partition import Deployment
from axsim.kernels.array import Array
from axsim.models.prompt import Prompt
from axsim.numerics.ranges import Calibration
from axsim.runs.asked import asked_prompt, cached_prompt
from axsim.runs.devices import Device
from axsim.runs.host import HostLoop
from axsim.runs.progress import Meter
from axsim.runs.reference import Picture, Recent, read, see
from axsim.runs.run_pictures import RunPictures
from axsim.runs.sharing import Key, calibrated, pixels_key, request_key, sees
from axsim.runs.stock import Stock
from axsim.system.request import ride, walk

if TYPE_CHECKING:
    from axsim.inputs.chat import Chat
    from axsim.numerics.observers import Observer

IN_STEP = 8
"""Pictures whose float32 runs advance together: each holds its activations, some 40 MB at 448
pixels."""


class Expected:
    """The float32 runs of ``deployments``; ``observer`` makes what watches a tensor's values."""

    def __init__(
        self,
        deployments: Sequence[Deployment],
        stock: Stock,
        pictures: RunPictures,
        chat: Chat | None,
        observer: Callable[[], Observer],
        meter: Meter,
    ) -> None:
        self._deployments = deployments
        self._stock, self._pictures, self._chat = stock, pictures, chat
        self._observer, self._meter = observer, meter
        self._known: dict[Key, Any] = {}
        self._done = False

    def images(self, deployment: Deployment) -> Array:
        """The vision part's output of every picture that is compared, one after the other."""
        found: Array = self._all()[request_key(deployment, "images")]
        return found

    def logits(self, deployment: Deployment) -> Array:
        """Logits [vocab] after the prompt."""
        found: Array = self._all()[request_key(deployment, "logits")]
        return found

    def calibration(self, deployment: Deployment) -> Calibration:
        """The ranges of the vision part's activations."""
        found: Calibration = self._all()[pixels_key(deployment, "calibration")]
        return found

    def _all(self) -> dict[Key, Any]:
        if not self._done:
            self._run()
            self._done = True
        return self._known

    def _run(self) -> None:
        """Every float32 run, those of one architecture and seed in step."""
        groups: dict[Key, list[Deployment]] = {}
        for deployment in self._deployments:
            if deployment.graph is not None:
                continue
            key = (deployment.model, deployment.workload.request.seed)
            groups.setdefault(key, []).append(deployment)
        for group in groups.values():
            weights = self._stock.weights(group[0])
            self._meter.label = "float32 reference and calibration: vision"
            self._see([each for each in group if sees(each)], weights)
            self._meter.label = "float32 reference: prefill"
            self._read([each for each in group if each.model.decoder], weights)
            weights.forget()

    def _see(self, deployments: Sequence[Deployment], weights: Recent) -> None:
        """Float32 image tokens of each request, and the ranges of activations."""
        asked: dict[Key, list[Picture]] = {}
        others: dict[Key, list[Picture]] = {}
        for each in deployments:
            key = pixels_key(each, "calibration")
            calibration = self._known.setdefault(key, Calibration(self._observer))
            pixels = self._pictures.of(each)
            if calibrated(each) and key not in others:
                others[key] = [Picture(each, image, calibration) for image in pixels.calibration]
            observer = calibration if self._pictures.asked else None
            asked[request_key(each, "images")] = [
                Picture(each, image, observer) for image in pixels.compared
            ]
        quantised = [each for each in deployments if calibrated(each)]
        prepare = None
        if quantised:
            packed = self._stock.vision(quantised[0])

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

    def _read(self, deployments: Sequence[Deployment], weights: Recent) -> None:
        """Float32 logits after each prompt."""
        if not deployments:
            return
        loops: dict[Key, HostLoop] = {}
        rides = []
        for each in deployments:
            key = request_key(each, "logits")
            if key in loops:
                continue
            loops[key] = self._reader(each, weights)
            rides.append(ride(walk(each, 1), loops[key].compute))
        cfg = deployments[0].model.decoder
        assert cfg is not None
        read(rides, cfg, self._stock.decoder(deployments[0]))
        self._known.update({key: loop.first_logits for key, loop in loops.items()})

    def _reader(self, deployment: Deployment, weights: Recent) -> HostLoop:
        """A request's numbers in float32, given its images'."""
        device = Device(deployment, weights, tick=self._meter.tick)
        images: Sequence[Array] = ()
        if sees(deployment):
            seen = self._known[request_key(deployment, "images")]
            each = len(seen) // self._pictures.compared_count(deployment)
            images = [seen[i * each :][:each] for i in range(deployment.workload.images)]

        def prompt() -> Prompt:
            return asked_prompt(deployment, device.embed, images, self._chat)

        loop = HostLoop(deployment, device, prompt, lambda logits: int(logits.argmax()))
        before = cached_prompt(deployment, device.embed, self._chat)
        if before is not None:
            loop.precompute(before)
        return loop
