"""From a workload and its weights to a service that is ready to answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.inputs.images import folder_pictures, open_picture, prepared
from axsim.inputs.prompts import Prompts, Question
from axsim.inputs.sampling import end_of_sequence
from axsim.inputs.standin import SeededPrompts
from axsim.inputs.template import Message
from axsim.kernels.array import Array
from axsim.numerics.ranges import Calibration
from axsim.runs.run_pictures import Pixels, without_pictures
from axsim.runs.sources import SYNTHETIC, Sources
from axsim.runs.stock import Stock
from axsim.server.computing import Computing
from axsim.server.engine import Engine, Order, longest_prompt
from axsim.server.messages import NOTICES
from axsim.server.service import Service, Writes
from axsim.spec.workload import RequestSection, Workload
from axsim.system.request_timeline import RequestTimeline

OnStep = Callable[[str], None]
"""Told what is being done now."""


def load(
    deployment: Deployment,
    variant: str,
    sources: Sources = SYNTHETIC,
    *,
    timing_only: bool = False,
    name: str | None = None,
    system: str | None = None,
    on_step: OnStep = lambda step: None,
) -> Service:
    """A service that has everything at hand: weights packed, ranges calibrated. Clients call the
    model by ``name``, the workload's by default. With ``timing_only`` no kernels run.

    Raises:
        InputError: the model is no language model, or its files are broken or of another model.
    """
    workload, decoder = deployment.workload, deployment.model.decoder
    if decoder is None:
        raise InputError(f"{workload.name} has no decoder: nothing that answers a question")
    if decoder.cross_tokens:
        what = f"{workload.name} answers a recording or a picture alone"
        raise InputError(f"{what}: its prompt has no room for a conversation")
    prompts: Writes
    if sources.checkpoint is None:
        prompts = SeededPrompts(decoder.vocab_size)
    else:
        prompts = Prompts(sources.checkpoint)
    stock = Stock([deployment], sources.checkpoint)
    head, most = head_of(prompts, workload, system), longest_prompt(workload.build) - 1
    if head > most:
        what = f"chat template and system prompt begin with {head} tokens"
        raise InputError(f"{what}; allowed: {most}")
    ends: tuple[int, ...] = ()
    if workload.request.stop_at_eos:
        ends = end_of_sequence(workload, stock.eos_token_ids)
    pictures = _pictures(deployment, sources, timing_only)
    computing = None
    if not timing_only:
        on_step("ranges of activations" if pictures else "weights")
        calibration = Calibration(sources.make_observer())
        computing = Computing(deployment, stock, calibration, pictures)
    trained = "synthetic" if sources.checkpoint is None else "trained"
    answers = "timing" if timing_only else trained
    notice = NOTICES.get(answers, "")
    engine = Engine(deployment, prompts.tokens, ends, computing, notice, head)
    about: dict[str, Any] = {
        "chip": deployment.chip.name,
        "variant": variant,
        "npu_mode": deployment.mode.name,
        "answers": answers,
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
    """Compute the system prompt, if there is one, else answer something, so that no client waits
    for weights to be packed. Returns what the system prompt takes on the chip."""
    engine = service.engine
    question = _said(service.prompts, service.workload, service.system, "hello")
    if service.system is not None and engine.slots.head:
        return engine.precompute(question)
    if len(question.tokens) <= engine.longest_prompt:
        engine.answer(Order(question, RequestSection(), 1), lambda piece: None, lambda: True)
    return None


def _said(prompts: Writes, workload: Workload, system: str | None, text: str) -> Question:
    """A conversation that begins with a text."""
    before = [] if system is None else [Message("system", (system,))]
    return prompts.question(workload, [*before, Message("user", (text,))])


def _pictures(deployment: Deployment, sources: Sources, timing_only: bool) -> Sequence[Array]:
    """What ranges are taken from; none where there are no ranges."""
    workload = deployment.workload
    quantised = deployment.vision is not None and workload.build.vision_dtype != "bf16"
    if not quantised and (sources.images is not None or sources.calibrate_on is not None):
        raise InputError(f"nothing to calibrate: {workload.name} has no vision part in u8 or u16")
    if timing_only or not quantised:
        return ()
    if sources.images is not None:
        opened = map(open_picture, folder_pictures(sources.images))
        return [tile for each in opened for tile in prepared(each, workload.image_size)]
    if sources.checkpoint is not None and sources.calibrate_on is None:
        raise without_pictures(deployment.model.hears)
    return Pixels.seeded(deployment).calibration
