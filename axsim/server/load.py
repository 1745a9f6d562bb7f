"""From a workload and its weights to a service that is ready to answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.inputs.images import folder_pictures, open_picture, prepared
from axsim.inputs.prompts import Prompts, Question
from axsim.inputs.sampling import end_of_sequence
from axsim.inputs.seeded import seeded_image
from axsim.inputs.standin import SeededPrompts
from axsim.inputs.template import Message
from axsim.kernels.array import Array
from axsim.models.checkpoint import Checkpoint
from axsim.runs.checkpoints import weights_of
from axsim.server.computing import Computing
from axsim.server.engine import Engine, Order, longest_prompt
from axsim.server.messages import NOTICES
from axsim.server.service import Service, Writes
from axsim.spec.workload import RequestSection, Workload
from axsim.system.request_timeline import RequestTimeline

OnStep = Callable[[str], None]
"""Told what is being done now."""


@dataclass(frozen=True)
class Source:
    """Where answers come from: the weights of a ``checkpoint`` or synthetic ones, ranges of
    activations from the pictures of the folder ``images`` or a seeded one, and with ``timing_only``
    no kernels."""

    checkpoint: Path | None = None
    images: Path | None = None
    timing_only: bool = False

    @property
    def answers(self) -> str:
        """``trained``, or the kind of :data:`~axsim.server.messages.NOTICES`."""
        if self.timing_only:
            return "timing"
        return "synthetic" if self.checkpoint is None else "trained"


def load(
    deployment: Deployment,
    variant: str,
    source: Source,
    name: str | None = None,
    system: str | None = None,
    on_step: OnStep = lambda step: None,
) -> Service:
    """A service that has everything at hand: weights packed, ranges calibrated. Clients call the
    model by ``name``, the workload's by default.

    Raises:
        InputError: the model is no language model, or its files are broken or of another model.
    """
    workload, decoder = deployment.workload, deployment.model.decoder
    if decoder is None:
        raise InputError(f"{workload.name} has no decoder: nothing that answers a question")
    if source.images is not None and (deployment.vision is None or source.timing_only):
        raise InputError(f"{source.images}: nothing to calibrate")
    prompts: Writes
    if source.checkpoint is None:
        prompts = SeededPrompts(decoder.vocab_size)
    else:
        prompts = Prompts(source.checkpoint)
    head, most = head_of(prompts, workload, system), longest_prompt(workload.build) - 1
    if head > most:
        raise InputError(f"the system prompt has {head} tokens; allowed: {most}")
    on_step("weights")
    weights = weights_of(deployment, source.checkpoint)
    held = weights.eos_token_ids if isinstance(weights, Checkpoint) else None
    ends = end_of_sequence(workload, held) if workload.request.stop_at_eos else ()
    computing = None
    if not source.timing_only:
        on_step("weights, and ranges of activations")
        computing = Computing(deployment, weights, _pictures(deployment, source.images))
    notice = NOTICES.get(source.answers, "")
    engine = Engine(deployment, prompts.tokens, ends, computing, notice, head)
    about: dict[str, Any] = {
        "chip": deployment.chip.name,
        "variant": variant,
        "npu_mode": deployment.mode.name,
        "answers": source.answers,
        "notice": notice or None,
        "sees": deployment.vision is not None,
    }
    return Service(name or workload.name, workload, engine, prompts, about, system)


def head_of(prompts: Writes, workload: Workload, system: str | None) -> int:
    """The tokens that all conversations begin with."""
    one, other = (_said(prompts, workload, system, word).tokens for word in ("a", "1"))
    pairs = enumerate(zip(one, other, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(one), len(other)))


def warm_up(service: Service) -> RequestTimeline | None:
    """Answer something once, so that no client waits for weights to be packed; and compute the
    system prompt, if there is one. Returns what that takes on the chip."""
    question = _said(service.prompts, service.workload, service.system, "hello")
    order = Order(question, RequestSection(), 2)
    service.engine.answer(order, lambda piece: None, lambda: True)
    needed = service.system is not None and service.engine.head_tokens > 0
    return service.engine.precompute(question) if needed else None


def _said(prompts: Writes, workload: Workload, system: str | None, text: str) -> Question:
    """A conversation that begins with a text."""
    before = [] if system is None else [Message("system", (system,))]
    return prompts.question(workload, [*before, Message("user", (text,))])


def _pictures(deployment: Deployment, folder: Path | None) -> Sequence[Array]:
    """What ranges are taken from."""
    workload = deployment.workload
    if deployment.vision is None:
        return ()
    if folder is None:
        return [seeded_image(workload.image_size, workload.request.seed, "calibration 0")]
    opened = map(open_picture, folder_pictures(folder))
    return [tile for each in opened for tile in prepared(each, workload.image_size)]
