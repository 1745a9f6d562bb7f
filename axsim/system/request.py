"""A request: what the vendor's runtime does for one question, in its order (ax-llm, LLM.hpp).

All images are prepared, the vision part runs on one after the other, prefill takes each layer
through all chunks of the prompt (layers outermost), post (final norm, head) and the choice of a
token follow, and every further token goes through the layers and post again. :func:`walk` is the
only place that says so; whoever drives it decides what time a step takes and what it computes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Iterator
from dataclasses import dataclass
from math import prod
from typing import Literal

from axsim.compiler.partition import Deployment, Subgraph
from axsim.graph.ir import DTYPE_BITS
from axsim.spec.chip import Chip
from axsim.spec.workload import OLD_RUNTIMES, Toolchain

Stage = Literal["preprocess", "vision", "prefill", "decode", "post", "graph"]
"""``post`` is the head after prefill or after a decode step's layers, and the choice of a token;
``graph`` the whole network of an ONNX file."""


@dataclass(frozen=True)
class Call:
    """One invocation of a subgraph on the NPU; ``chunk`` counts those of the prompt in prefill."""

    subgraph: Subgraph
    chunk: int = 0


@dataclass(frozen=True)
class HostWork:
    """Work of the host around the calls: ``us`` microseconds on ``cores`` of its cores."""

    us: float
    cores: int = 1
    chunk: int = 0


@dataclass(frozen=True)
class Pass:
    """``steps`` that are taken for one layer after the other; ``layers`` is 1 where there are none.

    ``index`` counts images or tokens from 0: token 0 comes from prefill, so the first decode step
    has index 1.
    """

    stage: Stage
    index: int
    steps: tuple[Call | HostWork, ...]
    layers: int = 1


Walk = Generator[Pass, "int | None", None]
"""Yields what is to be done next and is sent the token that a pass of post led to, if any."""
Compute = Callable[[Pass, Call, int], "int | None"]
"""Runs the kernels of a pass's call in a layer; the chosen token when the pass is post."""


@dataclass(frozen=True)
class HostCosts:
    """Time of the runtime, microseconds: of preparing one image on all cores, around a layer of one
    prefill chunk and of one decode step, of choosing a token, of an invocation over a link and of
    each byte that crosses it."""

    preprocess_us: float
    prefill_layer_us: float
    decode_layer_us: float
    sample_us: float
    link_us: float = 0.0
    link_us_per_byte: float = 0.0

    @classmethod
    def of(cls, deployment: Deployment) -> HostCosts:
        """Preparing an image is shared by all cores, sampling is serial.

        What the runtime spends around a layer is a property of the build's toolchain: with those up
        to 3.3, AX650N's prefill takes 0.8 ms a layer more (P065 to P067, P071 and P080 beside the
        newer packages K026 and K027). On a card, every invocation has a round trip besides, and
        what only the host has or needs crosses the link: pictures and their tokens, embeddings,
        logits. Layers hand on hidden states and the KV cache on the card, as the vendor's runtime
        for cards does (axcl-llm-internvl)."""
        chip, decoder = deployment.chip, deployment.model.decoder
        prefill_ms, decode_ms = layer_ms(chip, deployment.workload.build.toolchain)
        mhz = chip.cpu.clock_mhz  # cycles per microsecond
        vision, workload = deployment.model.vision, deployment.workload
        frames = vision.temporal_patch_size if vision and workload.request.video else 1
        size = vision.canvas(workload.image_size) if vision else (0, 0)
        pixels = frames * prod(size)
        vocabulary = decoder.vocab_size if decoder else 0
        return cls(
            pixels * chip.host.preprocess_cycles_per_pixel / chip.cpu.cores / mhz,
            prefill_ms * 1e3,
            decode_ms * 1e3,
            vocabulary * chip.host.sample_cycles_per_logit / mhz,
            chip.host.pcie_ms * 1e3 if deployment.link else 0.0,
            1e-3 / chip.host.pcie_gbps if deployment.link and chip.host.pcie_gbps else 0.0,
        )

    def over_link_us(self, size: int) -> float:
        """An invocation's share of the link, with ``size`` bytes to transfer."""
        return self.link_us + size * self.link_us_per_byte


def layer_ms(chip: Chip, toolchain: Toolchain) -> tuple[float, float]:
    """What the runtime of a toolchain spends around a layer, of one prefill chunk and of one decode
    step, milliseconds."""
    if toolchain in OLD_RUNTIMES:
        return chip.calibrated.host_prefill_ms, chip.calibrated.host_decode_ms
    return chip.host.prefill_layer_ms, chip.host.decode_layer_ms


def walk(deployment: Deployment, tokens: int, ends: Collection[int] = ()) -> Walk:
    """Everything that a request of ``deployment`` asks of the chip and its host, up to ``tokens``
    tokens; one of ``ends`` is the last."""
    host = HostCosts.of(deployment)
    if deployment.graph is not None:
        yield Pass("graph", 0, _whole(deployment.graph, host))
        return
    vision, images = deployment.vision, deployment.workload.images
    if vision is not None and images:
        prepare = HostWork(images * host.preprocess_us, deployment.chip.cpu.cores)
        yield Pass("preprocess", 0, (prepare,))
        for image in range(images):
            yield Pass("vision", image, _whole(vision, host))
    decoder = deployment.model.decoder
    if decoder is None:
        return
    layers = decoder.num_hidden_layers
    # Embeddings cross the link once; layers are alike, so that each has its share of that.
    row = decoder.hidden_size * DTYPE_BITS[deployment.workload.build.hidden_dtype] // 8
    share_us = row * host.link_us_per_byte / layers
    prompt_us = host.link_us + deployment.workload.build.prefill_chunk * share_us
    prefill: list[Call | HostWork] = []
    for chunk, subgraph in enumerate(deployment.prefill):
        prefill += (
            HostWork(host.prefill_layer_us + prompt_us, chunk=chunk),
            Call(subgraph, chunk),
        )
    yield Pass("prefill", 0, tuple(prefill), layers)
    logits = host.over_link_us(deployment.post.output_bytes)
    post = Call(deployment.post), HostWork(host.sample_us + logits)
    decode = HostWork(host.decode_layer_us + host.link_us + share_us), Call(deployment.decode)
    for token in range(tokens):
        if token:
            yield Pass("decode", token, decode, layers)
        chosen = yield Pass("post", token, post)
        if chosen in ends:
            return


def _whole(subgraph: Subgraph, host: HostCosts) -> tuple[Call | HostWork, ...]:
    """One invocation whose inputs come from the host and whose outputs go there."""
    us = host.over_link_us(subgraph.input_bytes + subgraph.output_bytes)
    return (HostWork(us), Call(subgraph)) if us else (Call(subgraph),)


def ride(steps: Walk, compute: Compute) -> Iterator[tuple[Pass, int]]:
    """Run the kernels of a walk without any time; yields each pass and layer that is done."""
    token = None
    while (work := following(steps, token)) is not None:
        for layer in range(work.layers):
            for step in work.steps:
                if isinstance(step, Call):
                    token = compute(work, step, layer)
            yield work, layer


def following(steps: Walk, token: int | None) -> Pass | None:
    """The walk's next pass, given the token that the last one led to; None at its end."""
    try:
        return steps.send(token)
    except StopIteration:
        return None
