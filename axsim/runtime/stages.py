"""The timed stages of a request: what each subgraph invocation and the host's share of it take.

Times are milliseconds. TTFT follows the vendor's convention: all prefill chunks and the first post,
without the vision encoder. What a person waits is image to first token.
"""

from __future__ import annotations

from dataclasses import dataclass

from axsim.chip import Chip
from axsim.compiler.partition import Deployment
from axsim.machine.npu import Npu
from axsim.machine.timeline import Timeline
from axsim.workload import OLD_RUNTIMES, BuildSection


@dataclass(frozen=True)
class Host:
    """Time of the host loop, milliseconds; ``link_ms`` is that of one invocation over a link."""

    preprocess_ms: float
    prefill_layer_ms: float
    decode_layer_ms: float
    sample_ms: float
    link_ms: float = 0.0

    @classmethod
    def of(cls, chip: Chip, pixels: int, vocabulary: int, build: BuildSection) -> Host:
        """Costs on ``chip``'s CPU: image preparation is shared by all cores, sampling is serial.

        What the runtime spends around a layer is a property of the build's toolchain: with those up
        to 3.3, AX650N's prefill takes 0.8 ms a layer more (P065 to P067, P071 and P080 beside the
        newer packages K026 and K027). On a card, every invocation has a round trip besides."""
        old = build.toolchain in OLD_RUNTIMES
        cycles_per_ms = chip.cpu.clock_mhz * 1e3
        preprocess = pixels * chip.host.preprocess_cycles_per_pixel / chip.cpu.cores
        return cls(
            preprocess / cycles_per_ms,
            chip.calibrated.host_prefill_ms if old else chip.host.prefill_layer_ms,
            chip.calibrated.host_decode_ms if old else chip.host.decode_layer_ms,
            vocabulary * chip.host.sample_cycles_per_logit / cycles_per_ms,
            chip.host.pcie_ms if build.link == "pcie" else 0.0,
        )


@dataclass(frozen=True)
class Stages:
    """A request's stages: timelines of the subgraphs and the host's times around them.

    ``prefill`` has one timeline per prompt chunk. Parts that the workload lacks are None or empty.
    """

    images: int
    layers: int
    host: Host
    vision: Timeline | None
    prefill: tuple[Timeline, ...]
    decode: Timeline | None
    post: Timeline | None

    @property
    def vision_encode_ms(self) -> float:
        """One image through the vision part."""
        return self.vision.duration_ms + self.host.link_ms if self.vision else 0.0

    @property
    def preprocess_ms(self) -> float:
        """Preparation of all images on the CPU."""
        return self.images * self.host.preprocess_ms

    @property
    def prefill_ms(self) -> tuple[float, ...]:
        """Each prompt chunk through all layers."""
        around = self.host.prefill_layer_ms + self.host.link_ms
        return tuple(self.layers * (chunk.duration_ms + around) for chunk in self.prefill)

    @property
    def post_ms(self) -> float:
        """Final norm, head and the choice of the token."""
        if self.post is None:
            return 0.0
        return self.post.duration_ms + self.host.sample_ms + self.host.link_ms

    @property
    def ttft_ms(self) -> float:
        """Time to first token as the vendor counts it: prefill chunks and the first post."""
        return sum(self.prefill_ms) + self.post_ms

    @property
    def image_to_first_token_ms(self) -> float:
        """Image preparation, vision encoding of every image, and TTFT."""
        return self.preprocess_ms + self.images * self.vision_encode_ms + self.ttft_ms

    @property
    def token_ms(self) -> float:
        """One decode step: all layers and post. The same for every token, since attention always
        reads the compiled length of the KV cache."""
        if self.decode is None:
            return 0.0
        around = self.host.decode_layer_ms + self.host.link_ms
        return self.layers * (self.decode.duration_ms + around) + self.post_ms

    @property
    def decode_tokens_per_s(self) -> float:
        """Decode speed."""
        return 1e3 / self.token_ms if self.token_ms else 0.0


def time_stages(deployment: Deployment, npu: Npu | None = None) -> Stages:
    """Time every subgraph of a deployment, without kernels."""
    npu = npu or Npu()
    workload, decoder = deployment.workload, deployment.model.decoder
    vocabulary = decoder.vocab_size if decoder else 0
    return Stages(
        images=workload.images,
        layers=decoder.num_hidden_layers if decoder else 0,
        host=Host.of(deployment.chip, workload.image_size**2, vocabulary, workload.build),
        vision=npu.run(deployment.vision.program) if deployment.vision else None,
        prefill=tuple(npu.run(subgraph.program) for subgraph in deployment.prefill),
        decode=npu.run(deployment.decode.program) if decoder else None,
        post=npu.run(deployment.post.program) if decoder else None,
    )
