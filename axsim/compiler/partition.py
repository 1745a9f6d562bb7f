"""The deployed subgraphs of a workload, compiled for a chip.

As the vendor's runtime has them: the vision part; one decoder-layer file with group 0 (decode) and
a group for each compiled length of history (prefill, a chunk at a time); post (final norm and
head); the embedding table stays on the CPU. All layers of a decoder are alike, so each group is
compiled once. A network from an ONNX file is one subgraph, whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from axsim.compiler.compile import compile_lowered
from axsim.compiler.lower import Lowered, lower
from axsim.compiler.program import Program
from axsim.errors import InputError, Problem
from axsim.graph.ir import DTYPE_BITS, Graph
from axsim.models.config import DecoderConfig, ModelConfig, Pixels, ProjectorConfig, VisionConfig
from axsim.models.decoder import decoder_layer_graph, post_graph
from axsim.models.vision import vision_graph
from axsim.numerics.formats import (
    DECODER_PARTS,
    DecoderScheme,
    Part,
    UnmatchedPattern,
    VisionDtype,
    VisionScheme,
    assign,
    assign_network,
    weight_bytes,
)
from axsim.spec.chip import Chip, Link, Mode
from axsim.spec.workload import Workload

if TYPE_CHECKING:
    from axsim.network.network import Network
    from axsim.spec.architecture import ModelSection

MEBI = 1024 * 1024


def mebibytes(size: float) -> str:
    """``1116``; sizes below ten with decimals."""
    value = size / MEBI
    return f"{value:.0f}" if value >= 10 or not value else f"{value:.2g}"


@dataclass(frozen=True)
class Deployment:
    """A workload compiled for a chip: graphs and programs, made when they are first asked for.

    ``vision`` raises InputError for a precision override that matches no activation.
    """

    workload: Workload
    chip: Chip

    @cached_property
    def mode(self) -> Mode:
        """The NPU mode in use."""
        return self.chip.mode(self.workload.build.npu_mode or self.chip.default_mode)

    @cached_property
    def load_ms(self) -> float | None:
        """How long the model takes from storage into memory, over the link too where there is one,
        one after the other; None where the storage's speed is not known."""
        memory, host = self.memory, self.chip.host
        if host.storage_mb_per_s is None:
            return None
        files = sum(memory.stored.values())
        ms = (files + memory.embedding) / host.storage_mb_per_s / 1e3
        return ms + (files / host.pcie_gbps / 1e6 if self.link and host.pcie_gbps else 0.0)

    @property
    def link(self) -> Link | None:
        """What lies between the host and the chip: the build's word, else the chip's."""
        return self.workload.build.link or self.chip.host.link

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
        build = self.workload.build
        overrides = tuple(build.precision_overrides.items())
        size, projector = self.workload.image_size, self.model.projector
        with _told_patterns():
            lowered = _lower_vision(
                vision, projector, size, build.vision_dtype, overrides, self._float_on_conv
            )
        return self._compile(lowered, "vision")

    @cached_property
    def network(self) -> Network | None:
        """The network of an ONNX file, fused as the vendor's compiler does.

        Raises:
            InputError: the file can't be read, or holds operators that are not supported.
        """
        return None if self.workload.model.onnx is None else network_of(self.workload)

    @cached_property
    def graph(self) -> Subgraph | None:
        """The whole network of an ONNX file on one image; None for other workloads."""
        return None if self.lowered is None else self._compile(self.lowered, "network")

    @cached_property
    def lowered(self) -> Lowered | None:
        """That network as operations, before the chip decides about them."""
        file = _File.of(self.workload.model)
        if file is None:
            return None
        build = self.workload.build
        overrides = tuple(build.precision_overrides.items())
        with _told_patterns():
            return _lower_network(file, build.vision_dtype, overrides, self._float_on_conv)

    @property
    def encoder(self) -> Subgraph | None:
        """What a build quantises the activations of: the vision part, or a whole network; None for
        a decoder alone."""
        return self.vision if self.graph is None else self.graph

    @cached_property
    def prefill(self) -> tuple[Subgraph, ...]:
        """A decoder layer on each prompt chunk, of the first turn."""
        return self.chunks(self.workload.cached_tokens, self.workload.prompt_tokens)

    def chunks(self, cached_tokens: int, new_tokens: int) -> tuple[Subgraph, ...]:
        """A decoder layer on each chunk of ``new_tokens`` after ``cached_tokens``: with the
        compiled history that holds what is before it."""
        build = self.workload.build
        histories = build.histories(cached_tokens, new_tokens)
        return tuple(self.layer(build.prefill_chunk, history) for history in histories)

    @cached_property
    def turns(self) -> tuple[Deployment, ...]:
        """Each turn of the conversation as a request of its own; itself where there is one only."""
        if not self.workload.request.turns:
            return (self,)
        return tuple(map(self.turn, range(len(self.workload.asked))))

    def turn(self, index: int, cached_tokens: int | None = None) -> Deployment:
        """One of them, after so many tokens in the KV cache, see
        :meth:`axsim.spec.workload.Workload.turn`. It shares what is compiled."""
        return self.with_workload(self.workload.turn(index, cached_tokens))

    def with_workload(self, workload: Workload) -> Deployment:
        """Another request of the same build, which shares what is compiled."""
        other = Deployment(workload, self.chip)
        other.__dict__["_compiled"] = self._compiled
        return other

    @cached_property
    def _compiled(self) -> dict[tuple[Lowered, Part], Subgraph]:
        return {}

    @cached_property
    def decode(self) -> Subgraph:
        """A decoder layer on one token over the whole compiled KV cache."""
        return self.layer(1, self.workload.build.kv_cache_len)

    @cached_property
    def post(self) -> Subgraph:
        """Final norm and head on one token."""
        assert self.model.decoder is not None
        build = self.workload.build
        scheme = DecoderScheme(build.post_weight_dtype, build.hidden_dtype)
        return self._compile(_lower_post(self.model.decoder, scheme), "head")

    def layer(self, new_tokens: int, cached_tokens: int) -> Subgraph:
        """A decoder layer on ``new_tokens`` that attend to ``cached_tokens`` before them."""
        assert self.model.decoder is not None
        build = self.workload.build
        scheme = DecoderScheme(build.weight_dtype, build.hidden_dtype)
        lowered = _lower_layer(
            self.model.decoder, new_tokens, cached_tokens, scheme, self._float_on_conv
        )
        return self._compile(lowered, DECODER_PARTS[build.weight_format])

    @property
    def _float_on_conv(self) -> bool:
        """Whether floating-point attention runs on CONV: asked for, and possible on the chip."""
        return self.workload.float_matmul_on_conv and self.chip.npu.conv.float_matmul

    def _compile(self, lowered: Lowered, part: Part) -> Subgraph:
        known = self._compiled
        if (lowered, part) not in known:
            program = compile_lowered(lowered, self.chip, self.mode, part)
            known[lowered, part] = Subgraph(lowered.graph, program, _stored_bytes(lowered, part))
        return known[lowered, part]

    @cached_property
    def memory(self) -> Memory:
        """What the deployed model occupies in DRAM: in all of it, or in the part of the NPU where
        the host has one of its own."""
        decoder, vision, dram = self.model.decoder, self.vision, self.chip.dram
        capacity = dram.npu_bytes or dram.capacity_bytes
        apart = dram.npu_bytes is not None or self.link is not None
        if self.graph is not None:
            program = self.graph.program
            weights, stored = {"graph": program.weight_bytes}, {"graph": self.graph.stored_bytes}
            return Memory(
                weights, stored, 0, program.activation_bytes, 0, capacity, embedding_apart=apart
            )
        weights = {"vision": vision.program.weight_bytes if vision else 0}
        stored = {"vision": vision.stored_bytes if vision else 0}
        activations = [vision.program.activation_bytes if vision else 0]
        kv = embedding = 0
        if decoder is not None:
            layers, build = decoder.num_hidden_layers, self.workload.build
            width = DTYPE_BITS[build.hidden_dtype] // 8
            weights["layers"] = layers * self.decode.program.weight_bytes
            weights["post"] = self.post.program.weight_bytes
            stored["layers"] = layers * self.decode.stored_bytes
            stored["post"] = self.post.stored_bytes
            rows = build.kv_cache_len * decoder.kv_dim
            rows += decoder.cross_tokens * decoder.hidden_size
            kv = 2 * layers * rows * width * build.kv_slots
            embedding = decoder.vocab_size * decoder.hidden_size * width
            activations += [
                subgraph.program.activation_bytes
                for turn in self.turns
                for subgraph in (*turn.prefill, self.decode, self.post)
            ]
        slots = self.workload.build.kv_slots
        return Memory(weights, stored, kv, max(activations), embedding, capacity, slots, apart)


@dataclass(frozen=True)
class Subgraph:
    """A deployed subgraph: the graph with its storage dtypes, its compiled program, and the bytes
    of its weights in flash."""

    graph: Graph
    program: Program
    stored_bytes: int

    @property
    def input_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Those of its inputs, in order."""
        return tuple(self.graph.tensors[name].shape for name in self.graph.inputs)

    @property
    def batch(self) -> int:
        """Inputs that one invocation takes side by side: the first dimension that all have."""
        first = {shape[0] for shape in self.input_shapes if len(shape) > 1}
        return first.pop() if len(first) == 1 else 1

    @property
    def input_bytes(self) -> int:
        """All that is put in."""
        return sum(self.graph.tensors[name].bytes for name in self.graph.inputs)

    @property
    def output_bytes(self) -> int:
        """All that comes out."""
        return sum(self.graph.tensors[name].bytes for name in self.graph.outputs)


@dataclass(frozen=True)
class Memory:
    """Memory use in bytes: ``weights`` by part as they lie in DRAM and ``stored`` as they lie in
    flash, the KV cache over the compiled length in all ``kv_slots``, the largest activations of any
    subgraph, the CPU's embedding table, and the ``capacity`` that is to hold them. The embedding
    table is ``apart`` where the CPU has other memory than that."""

    weights: Mapping[str, int]
    stored: Mapping[str, int]
    kv_cache: int
    activations: int
    embedding: int
    capacity: int
    kv_slots: int = 1
    embedding_apart: bool = False

    @property
    def kv_slot(self) -> int:
        """The KV cache of one conversation."""
        return self.kv_cache // self.kv_slots

    @property
    def npu(self) -> int:
        """What the NPU reads and writes."""
        return sum(self.weights.values()) + self.kv_cache + self.activations

    @property
    def total(self) -> int:
        """All that ``capacity`` is to hold."""
        return self.npu + (0 if self.embedding_apart else self.embedding)

    @property
    def fits(self) -> bool:
        """Whether ``capacity`` holds it."""
        return self.total <= self.capacity

    @property
    def verdict(self) -> str:
        """Whether it fits, in the words of every table and page: MiB, in the doubtful direction."""
        need, have = ceil(self.total / MEBI), self.capacity // MEBI
        return f"{'fits' if self.fits else 'does not fit'}: needs {need} MiB, has {have}"


def network_of(workload: Workload) -> Network:
    """The network that a workload names, fused; InputError as :meth:`Deployment.network`."""
    file = _File.of(workload.model)
    assert file is not None
    return _read_network(file)


# Lowering depends on no chip: many chips, variants and ledger rows share these results.


@lru_cache(maxsize=512)
def _stored_bytes(lowered: Lowered, part: Part) -> int:
    return weight_bytes(lowered.graph, part, "disk")


@lru_cache(maxsize=64)
def _lower_vision(
    vision: VisionConfig,
    projector: ProjectorConfig | None,
    image_size: Pixels,
    dtype: VisionDtype,
    overrides: tuple[tuple[str, VisionDtype], ...],
    float_matmul_on_conv: bool,
) -> Lowered:
    graph = assign(
        vision_graph(vision, image_size, projector), VisionScheme(dtype, dict(overrides))
    )
    return lower(graph, float_matmul_on_conv)


class _File(NamedTuple):
    """What is read from an ONNX file, and when the file was changed (ns)."""

    path: Path
    shapes: tuple[tuple[str, tuple[int, ...]], ...]
    outputs: tuple[str, ...]
    changed: int

    @classmethod
    def of(cls, model: ModelSection) -> _File | None:
        """The file of a workload; InputError when there is none of that name."""
        if model.onnx is None:
            return None
        path = Path(model.onnx)
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "no such file"
            raise InputError(Problem(model.onnx, "", what, "an ONNX file"))
        changed = path.stat().st_mtime_ns
        return cls(path, tuple(model.shapes.items()), model.outputs, changed)


@lru_cache(maxsize=64)
def _read_network(file: _File) -> Network:
    from axsim.network.fusion import fused
    from axsim.network.read import read

    try:
        return fused(read(file.path, dict(file.shapes), file.outputs))
    except ModuleNotFoundError as error:
        if error.name != "onnx":
            raise
        raise InputError("reading an ONNX file needs onnx: pip install 'axsim[onnx]'") from None


@lru_cache(maxsize=64)
def _lower_network(
    file: _File,
    dtype: VisionDtype,
    overrides: tuple[tuple[str, VisionDtype], ...],
    float_matmul_on_conv: bool,
) -> Lowered:
    graph = assign_network(_read_network(file).graph, dtype, dict(overrides))
    lowered = lower(graph, float_matmul_on_conv)
    if not lowered.operations:
        what = "the chip has nothing to compute: its nodes only name and arrange their inputs"
        raise InputError(Problem(str(file.path), "", what))
    return lowered


@contextmanager
def _told_patterns() -> Iterator[None]:
    """A precision override that matches nothing, as an error of the user's key."""
    try:
        yield
    except UnmatchedPattern as error:
        allowed = "names that axsim precision shows"
        raise InputError(Problem("", "build.precision_overrides", str(error), allowed)) from None


@lru_cache(maxsize=512)
def _lower_layer(
    decoder: DecoderConfig,
    new_tokens: int,
    cached_tokens: int,
    scheme: DecoderScheme,
    float_matmul_on_conv: bool,
) -> Lowered:
    graph = decoder_layer_graph(decoder, new_tokens, cached_tokens)
    return lower(assign(graph, scheme), float_matmul_on_conv)


@lru_cache(maxsize=64)
def _lower_post(decoder: DecoderConfig, scheme: DecoderScheme) -> Lowered:
    return lower(assign(post_graph(decoder), scheme))
