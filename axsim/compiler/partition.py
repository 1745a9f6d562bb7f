"""The deployed subgraphs of a workload, compiled for a chip.

As the vendor's runtime has them: the vision part; one decoder-layer file with group 0 (decode) and
group k + 1 (prefill chunk k, attending to k chunks of history); post (final norm and head); the
embedding table stays on the CPU. All layers of a decoder are alike, so each group is compiled once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from axsim.chip import Chip
from axsim.compiler.compile import compile_graph
from axsim.compiler.program import Program
from axsim.graph.ir import DTYPE_BITS, Graph
from axsim.models.config import ModelConfig
from axsim.models.decoder import decoder_layer_graph, post_graph
from axsim.models.internvit import vision_graph
from axsim.quantization.schemes import DecoderScheme, VisionScheme, assign
from axsim.workload import BuildSection, Workload


@dataclass(frozen=True)
class Deployment:
    """A workload compiled for a chip: graphs and programs, made when they are first asked for."""

    workload: Workload
    chip: Chip

    @property
    def groups(self) -> int:
        """Resource groups in use."""
        return groups_of(self.chip, self.workload.build)

    @cached_property
    def model(self) -> ModelConfig:
        """The architecture."""
        return self.workload.model.config()

    @cached_property
    def vision(self) -> Subgraph | None:
        """The vision part for one image of the requested size."""
        vision = self.model.vision
        if vision is None:
            return None
        graph = vision_graph(vision, self.workload.image_size, self.model.projector)
        build = self.workload.build
        graph = assign(graph, VisionScheme(build.vision_dtype))
        return Subgraph(graph, compile_graph(graph, self.chip, self.groups, part="vision"))

    @cached_property
    def prefill(self) -> tuple[Subgraph, ...]:
        """A decoder layer on each prompt chunk: chunk k attends to k whole chunks of history."""
        chunk = self.workload.build.prefill_chunk
        return tuple(
            self.layer(chunk, chunk * index) for index in range(self.workload.prefill_chunks)
        )

    @cached_property
    def decode(self) -> Subgraph:
        """A decoder layer on one token over the whole compiled KV cache."""
        return self.layer(1, self.workload.build.kv_cache_len)

    @cached_property
    def post(self) -> Subgraph:
        """Final norm and head on one token."""
        assert self.model.decoder is not None
        build = self.workload.build
        graph = post_graph(self.model.decoder)
        graph = assign(graph, DecoderScheme(build.post_weight_dtype, build.hidden_dtype))
        return Subgraph(graph, compile_graph(graph, self.chip, self.groups, part="head"))

    def layer(self, new_tokens: int, cached_tokens: int) -> Subgraph:
        """A decoder layer on ``new_tokens`` that attend to ``cached_tokens`` before them."""
        assert self.model.decoder is not None
        build = self.workload.build
        graph = decoder_layer_graph(self.model.decoder, new_tokens, cached_tokens)
        graph = assign(graph, DecoderScheme(build.weight_dtype, build.hidden_dtype))
        program = compile_graph(
            graph,
            self.chip,
            self.groups,
            part="decoder",
            float_matmul_on_conv=build.float_matmul_on_conv,
        )
        return Subgraph(graph, program)

    @cached_property
    def memory(self) -> Memory:
        """What the deployed model occupies in DRAM."""
        decoder, vision = self.model.decoder, self.vision
        weights = {"vision": vision.program.weight_bytes if vision else 0}
        activations = [vision.program.activation_bytes if vision else 0]
        kv = embedding = 0
        if decoder is not None:
            layers, build = decoder.num_hidden_layers, self.workload.build
            width = DTYPE_BITS[build.hidden_dtype] // 8
            weights["layers"] = layers * self.decode.program.weight_bytes
            weights["post"] = self.post.program.weight_bytes
            kv = 2 * layers * build.kv_cache_len * decoder.kv_dim * width
            embedding = decoder.vocab_size * decoder.hidden_size * width
            activations += [
                subgraph.program.activation_bytes
                for subgraph in (*self.prefill, self.decode, self.post)
            ]
        return Memory(weights, kv, max(activations), embedding, self.chip.dram.capacity_bytes)


@dataclass(frozen=True)
class Subgraph:
    """A deployed subgraph: the graph with its storage dtypes and its compiled program."""

    graph: Graph
    program: Program


@dataclass(frozen=True)
class Memory:
    """DRAM use in bytes: ``weights`` by part as stored, the KV cache over the compiled length, the
    largest activations of any subgraph, the CPU's embedding table, and the chip's capacity."""

    weights: Mapping[str, int]
    kv_cache: int
    activations: int
    embedding: int
    capacity: int

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self.weights.values()) + self.kv_cache + self.activations + self.embedding

    @property
    def fits(self) -> bool:
        """Whether the chip's memory holds it."""
        return self.total <= self.capacity


def groups_of(chip: Chip, build: BuildSection) -> int:
    """Resource groups that the build uses on ``chip``.

    Raises:
        InputError: the chip has no such NPU mode.
    """
    from axsim.errors import InputError, Problem

    mode = build.npu_mode or chip.default_mode
    if mode not in chip.modes:
        what = f"{chip.name} has no NPU mode {mode!r}"
        raise InputError(Problem("", "build.npu_mode", what, ", ".join(chip.modes)))
    return chip.modes[mode]
