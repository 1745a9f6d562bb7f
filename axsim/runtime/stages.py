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


@dataclass(frozen=True)
class Host:
    """CPU time of the host loop, milliseconds."""

    preprocess_ms: float
    prefill_layer_ms: float
    decode_layer_ms: float
    sample_ms: float

    @classmethod
    def of(cls, chip: Chip, pixels: int, vocabulary: int) -> Host:
        """Costs on ``chip``'s CPU: image preparation is shared by all cores, the rest is serial."""
        cycles_per_ms = chip.cpu.clock_mhz * 1e3
        preprocess = pixels * chip.host.preprocess_cycles_per_pixel / chip.cpu.cores
        return cls(
            preprocess / cycles_per_ms,
            chip.calibrated.host_prefill_mcycles * 1e6 / cycles_per_ms,
            chip.calibrated.host_decode_mcycles * 1e6 / cycles_per_ms,
            vocabulary * chip.host.sample_cycles_per_logit / cycles_per_ms,
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
        return self.vision.duration_ms if self.vision else 0.0

    @property
    def preprocess_ms(self) -> float:
        """Preparation of all images on the CPU."""
        return self.images * self.host.preprocess_ms

    @property
    def prefill_ms(self) -> tuple[float, ...]:
        """Each prompt chunk through all layers."""
        return tuple(
            self.layers * (chunk.duration_ms + self.host.prefill_layer_ms) for chunk in self.prefill
        )

    @property
    def post_ms(self) -> float:
        """Final norm, head and the choice of the token."""
        return self.post.duration_ms + self.host.sample_ms if self.post else 0.0

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
        return self.layers * (self.decode.duration_ms + self.host.decode_layer_ms) + self.post_ms

    @property
    def decode_tokens_per_s(self) -> float:
        """Decode speed."""
        return 1e3 / self.token_ms if self.token_ms else 0.0


def time_stages(
    deployment: Deployment, npu: Npu | None = None, *, prefill: bool = True, decode: bool = True
) -> Stages:
    """Time every subgraph of a deployment, without kernels; ``prefill`` and ``decode`` can be left
    out where only the other is wanted."""
    npu = npu or Npu()
    workload, decoder = deployment.workload, deployment.model.decoder
    vocabulary = decoder.vocab_size if decoder else 0
    return Stages(
        images=workload.images,
        layers=decoder.num_hidden_layers if decoder else 0,
        host=Host.of(deployment.chip, workload.image_size**2, vocabulary),
        vision=npu.run(deployment.vision.program) if deployment.vision else None,
        prefill=tuple(npu.run(chunk.program) for chunk in deployment.prefill) if prefill else (),
        decode=npu.run(deployment.decode.program) if decoder and decode else None,
        post=npu.run(deployment.post.program) if decoder else None,
    )
