"""The numeric part of a run: kernels of every variant, and what they are compared with.

Variants share what is equal: weights as stored, the float32 reference of the same inputs, the
calibration of the same image size, and whole results where nothing that numbers depend on differs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from axsim.compiler.partition import Deployment
from axsim.inputs.sampling import Sampler
from axsim.kernels.array import Array
from axsim.models.prompt import Prompt
from axsim.numerics.comparison import cosine
from axsim.numerics.integer_graph import Integer
from axsim.numerics.steps import Arithmetic
from axsim.numerics.weight_only import WeightOnly
from axsim.runs.asked import asked_prompt, cached_prompt, ends
from axsim.runs.checks import check_networks
from axsim.runs.computed import Numerics
from axsim.runs.devices import Device
from axsim.runs.expected import Expected
from axsim.runs.host import HostLoop
from axsim.runs.judge import Judge
from axsim.runs.network_inputs import fed
from axsim.runs.network_numbers import network_numbers
from axsim.runs.progress import Meter, OnProgress
from axsim.runs.run_pictures import RunPictures
from axsim.runs.sharing import (
    Key,
    calibrated,
    images_key,
    numbers_key,
    sees,
    text_key,
    vision_part,
)
from axsim.runs.sources import SYNTHETIC, Sources
from axsim.runs.stock import Stock
from axsim.runs.text_source import open_passage
from axsim.system.alone import alone
from axsim.system.request import Call, Pass
from axsim.system.request_timeline import RequestTimeline

if TYPE_CHECKING:
    from axsim.inputs.chat import Chat

Served = tuple[Numerics, RequestTimeline]
"""What a turn has computed, and when."""

OnToken = Callable[[Deployment, int, float], None]
"""Told each token that a deployment has generated and when, in ms after the request's arrival."""


class Kernels:
    """Runs the kernels of deployments of one workload.

    Raises:
        InputError: the checkpoint is broken or of another architecture, or a source has no effect
            or is missing.
    """

    def __init__(
        self,
        deployments: Sequence[Deployment],
        sources: Sources = SYNTHETIC,
        on_progress: OnProgress | None = None,
        chat: Chat | None = None,
        on_token: OnToken | None = None,
    ) -> None:
        check_networks(deployments, sources, chat)
        self._chat = chat
        self._on_token = on_token
        self._sources = sources
        self._stock = Stock(deployments, sources.checkpoint)
        networks = [each for each in deployments if each.workload.model.onnx]
        self._fed = {id(each): fed(each, sources) for each in networks}
        self._pictures = RunPictures(deployments, sources, chat)
        passage, self._not_judged = open_passage(deployments, sources, chat)
        self._judge = None if passage is None else Judge(passage, self._tick)
        runs = {key: (len(each.compared), len(each.calibration)) for key, each in self._fed.items()}
        self._meter = Meter(deployments, self._pictures, self._judge, on_progress, runs)
        self._expected = Expected(
            deployments, self._stock, self._pictures, chat, sources.make_observer(), self._meter
        )
        self._known: dict[Key, Any] = {}

    def run(self, deployment: Deployment) -> list[Served]:
        """The numeric results of one deployment, and when what happened, for each turn."""
        key = numbers_key(deployment, "all")
        if key not in self._known:
            self._known[key] = served = self._run(deployment)
            return served
        found, turn, kept = [], deployment, 0
        for index, (numerics, _) in enumerate(self._known[key]):  # of one that has other times
            if index:
                turn = deployment.turn(index, kept)
            tokens = len(numerics.tokens)
            kept = turn.workload.cached_tokens + turn.workload.prompt_tokens + tokens - 1
            found.append((numerics, alone(turn, tokens=tokens)))
        return found

    def _run(self, deployment: Deployment) -> list[Served]:
        """Simulate the request with its kernels."""
        if deployment.graph is not None:
            self._meter.label = f"{deployment.workload.label}: network"
            inputs = self._fed[id(deployment)]
            found = network_numbers(deployment, inputs, self._meter.tick, self._sources)
            return [(found, alone(deployment))]
        from simpy import Environment

        from axsim.system.serve import serve
        from axsim.system.soc import Soc

        workload = deployment.workload
        see = self._deployed_images(deployment)
        shown = 0  # images in the turns before
        loop: HostLoop | None = None
        logits: Array | None = None  # that the first token was chosen from
        last: Sequence[int] = ()

        def see_next(index: int) -> Array:
            return see(shown + index)

        def prompt() -> Prompt:
            images = map(see_next, range(turn.workload.images))
            carried = loop.tokens[-1:] if loop and index else []
            return asked_prompt(turn, device.embed, list(images), self._chat, index, carried)

        if deployment.model.decoder is not None:
            self._expected.logits(deployment)
            device = self._device(deployment)
            last = ends(deployment, self._stock.eos_token_ids, self._chat)
            loop = HostLoop(deployment, device, prompt, Sampler(workload.request), see_next)
            before = cached_prompt(deployment, device.embed, self._chat)
            if before is not None:
                loop.precompute(before)

        def compute(work: Pass, call: Call, layer: int) -> int | None:
            self._meter.label = f"{workload.label}: {_doing(work, turn.workload.new_tokens)}"
            if loop is not None:
                return loop.compute(work, call, layer)
            see(work.index)
            return None

        def on_token(token: int, ms: float) -> None:
            if self._on_token is not None:
                self._on_token(deployment, token, ms)

        env = Environment()
        soc = Soc(env, deployment.chip, {"npu": deployment.mode.name})
        served: list[Served] = []
        turn = deployment
        for index in range(len(workload.asked)):
            if index and loop is not None:
                shown += turn.workload.images
                turn = deployment.turn(index, loop.position)
                loop.follow(turn)
            request = serve(soc, turn, ends=last, compute=compute, on_token=on_token)
            timeline = env.run(env.process(request))
            assert isinstance(timeline, RequestTimeline)
            if loop is not None and not index:
                logits = loop.first_logits
            tokens = () if loop is None else tuple(loop.tokens)
            stopped = bool(tokens) and tokens[-1] in last
            synthetic = self._sources.checkpoint is None
            served.append((Numerics(synthetic, None, None, tokens, None, stopped), timeline))
        first, timeline = served[0]
        return [(self._compared(deployment, first, see, logits), timeline), *served[1:]]

    def _compared(
        self,
        deployment: Deployment,
        found: Numerics,
        see: Callable[[int], Array],
        first_logits: Array | None,
    ) -> Numerics:
        """The numbers of a request or its first turn, beside the references."""
        if sees(deployment):
            self._meter.label = f"{deployment.workload.label}: pictures"
            count = self._pictures.compared_count(deployment)
            images = np.concatenate([see(image) for image in range(count)])
            found = replace(
                found,
                vision_cosine=cosine(self._expected.images(deployment), images),
                compared_on=self._pictures.compared_on(deployment),
            )
        if calibrated(deployment):
            found = replace(found, calibrated_on=self._pictures.calibrated_on(deployment))
        if first_logits is None:
            return found
        reference = self._expected.logits(deployment)
        found = replace(
            found,
            logits_cosine=cosine(reference, first_logits),
            reference_token=int(reference.argmax()),
            not_judged=self._not_judged,
        )
        if self._judge is None:
            return found
        self._meter.label = f"{deployment.workload.label}: reading the text"
        text = self._scored(deployment, self._judge)
        return replace(found, text=text, judged_on=self._judge.passage.name)

    def _scored(self, deployment: Deployment, judge: Judge) -> Any:
        def score() -> Any:
            weights, stored = self._stock.weights(deployment), self._stock.decoder(deployment)
            return judge.score(deployment, weights, stored)

        return self._once(text_key(deployment, "text"), score)

    def _deployed_images(self, deployment: Deployment) -> Callable[[int], Array]:
        """Computes picture after picture in the deployed arithmetic [1, tokens, hidden]; what
        another variant has computed stays."""
        key = images_key(deployment, "vision")
        devices: list[Device] = []
        pictures: list[Array] = []

        def compute(index: int) -> Array:
            if not devices:
                pictures.extend(self._pictures.of(deployment).compared)
                devices.append(self._device(deployment, self._vision_arithmetic(deployment)))
            return devices[0].vision(vision_part(deployment), pictures[index])

        def see(index: int) -> Array:
            found: Array = self._once((*key, index), lambda: compute(index))
            return found

        return see

    def _vision_arithmetic(self, deployment: Deployment) -> Arithmetic:
        calibration = self._expected.calibration(deployment)
        if deployment.workload.build.vision_dtype == "bf16":
            return WeightOnly()
        qparams = calibration.qparams(vision_part(deployment).graph)
        return Integer(qparams, self._stock.vision(deployment))

    def _device(self, deployment: Deployment, vision: Arithmetic | None = None) -> Device:
        stored = self._stock.decoder(deployment) if deployment.model.decoder else None
        kind = deployment.workload.build.vision_dtype

        def tick(macs: int, part: str) -> None:
            self._meter.tick(macs, kind if part == "vision" else part)

        weights = self._stock.weights(deployment)
        return Device(deployment, weights, stored, vision, WeightOnly(), tick)

    def _tick(self, macs: int, kind: str) -> None:
        self._meter.tick(macs, kind)

    def _once(self, key: Key, make: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]


def _doing(work: Pass, tokens: int) -> str:
    """What a pass is for, for people."""
    if work.stage == "vision":
        return "vision"
    return f"token {work.index} of {tokens}" if work.index else "prefill"
