"""What axsim says about a ledger row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import inf
from pathlib import Path
from typing import Any

from axsim.compiler.compile import compile_lowered
from axsim.compiler.lower import Lowered, lower
from axsim.compiler.partition import Deployment, Subgraph
from axsim.compiler.program import Program
from axsim.errors import InputError, Problem
from axsim.fidelity.ledger import Matmul, Measurement, shipped_graphs
from axsim.graph.builder import GraphBuilder
from axsim.machine.npu import Npu
from axsim.models.config import ModelConfig
from axsim.spec.chip import Chip, load_chip
from axsim.spec.descriptor import load_mapping, shipped
from axsim.spec.diagnosis import nearest
from axsim.spec.workload import ALLOWED_TOOLCHAINS, NEWEST_TOOLCHAIN, Toolchain, Workload
from axsim.system.alone import alone
from axsim.system.metrics import METRICS

DEFAULT_CHUNK = 128
"""Prompt tokens of a prefill call where a row does not say: the vendor's default build."""
DEFAULT_KV_CACHE = 1023
"""Compiled KV cache length where a row does not say, likewise."""
OTHER_NAMES = {"fp16": "bf16", "f16": "bf16", "int8": "s8", "int4": "s4"}
"""Names of dtypes in other documents; 16-bit float weights are stored alike."""

INVOCATIONS = ("vision_encode_ms", "prefill_layer_ms", "decode_layer_ms", "post_ms", "graph_ms")
"""Metrics that are one invocation of one subgraph."""


@dataclass(frozen=True)
class Compared:
    """A measurement with its prediction, or with the reason why there is none."""

    row: Measurement
    predicted: float | None
    reason: str = ""

    @property
    def error(self) -> float | None:
        """predicted / measured − 1."""
        return None if self.predicted is None else self.predicted / self.row.value - 1


def compare(
    rows: tuple[Measurement, ...],
    models: Mapping[str, ModelConfig],
    chips: Mapping[str, Chip],
    graphs: Path | None = None,
) -> list[Compared]:
    """Predict every row; equal configurations are simulated once. ``graphs`` is the folder of the
    ONNX files that rows of ``graph_ms`` name, by default the shipped one."""
    known: dict[object, float] = {}
    result = []
    for row in rows:
        conditions = tuple(
            getattr(row, name)
            for name in row.__dataclass_fields__
            if name not in ("id", "value", "source", "note", "line")
        )
        try:
            if conditions not in known:
                known[conditions] = predict(row, models, chips, graphs)
            result.append(Compared(row, known[conditions]))
        except InputError as error:
            result.append(Compared(row, None, "; ".join(str(p) for p in error.problems)))
    return result


def shipped_chips() -> dict[str, Chip]:
    """Every shipped chip by name."""
    return {name: load_chip(path) for name, path in shipped("chip").items()}


def predict(
    row: Measurement,
    models: Mapping[str, ModelConfig],
    chips: Mapping[str, Chip],
    graphs: Path | None = None,
) -> float:
    """The predicted value, in the metric's unit.

    Raises:
        InputError: the row names an unknown chip or model, lacks a condition that its metric needs,
            or contradicts itself.
    """
    chip = chips.get(row.chip.lower())
    if chip is None:
        hint = nearest(row.chip, chips)
        raise InputError(Problem("", "chip", f"unknown chip {row.chip!r}", ", ".join(chips), hint))
    if row.metric == "compiler_cycles":
        return _compiler_cycles(row, chip)
    deployment = deployment_of(row, models, chip, graphs)
    if row.metric not in INVOCATIONS:
        # A second token would time decode too, which TTFT does not have.
        request = alone(deployment, tokens=1 if row.metric == "ttft_ms" else 2)
        of = METRICS[row.metric].of
        value = of(request) if of else None
        if value is None:
            raise InputError(Problem("", "metric", f"{row.model} has no {row.metric}"))
        return value
    # axcl_run_model, which such rows come from, times the call and no transfers.
    link_ms = chip.host.pcie_ms if deployment.link else 0.0
    return Npu().run(measured_subgraph(row, deployment).program).duration_ms + link_ms


def deployment_of(
    row: Measurement,
    models: Mapping[str, ModelConfig],
    chip: Chip,
    graphs: Path | None = None,
) -> Deployment:
    """What the row measures, compiled for ``chip``; of any metric but ``compiler_cycles``.

    Raises:
        InputError: as :func:`predict`.
    """
    if row.metric == "graph_ms":
        return Deployment(_network(row, graphs or shipped_graphs()), chip)
    return Deployment(_workload(row, _model(row, models)), chip)


def measured_subgraph(row: Measurement, deployment: Deployment) -> Subgraph:
    """The subgraph that a row of a single invocation measures."""
    if row.metric == "vision_encode_ms":
        assert deployment.vision is not None
        return deployment.vision
    if row.metric == "graph_ms":
        assert deployment.graph is not None
        return deployment.graph
    if row.metric == "prefill_layer_ms":
        return deployment.layer(_need(row, "prefill_chunk"), row.cached_tokens or 0)
    return deployment.decode if row.metric == "decode_layer_ms" else deployment.post


def _model(row: Measurement, models: Mapping[str, ModelConfig]) -> ModelConfig:
    """The part of the model that the row measures."""
    if row.model not in models:
        hint = nearest(row.model, models)
        raise InputError(Problem("", "model", f"unknown model {row.model!r}", "", hint))
    model = models[row.model]
    if row.metric == "vision_encode_ms":
        if model.vision is None:
            raise InputError(Problem("", "model", f"{row.model} has no vision tower"))
        return ModelConfig(None, model.vision, model.projector)
    if model.decoder is None:
        raise InputError(Problem("", "model", f"{row.model} has no decoder"))
    return ModelConfig(model.decoder)


def _workload(row: Measurement, model: ModelConfig) -> Workload:
    build: dict[str, Any] = {"toolchain": toolchain_of(row.toolchain), "link": row.link}
    if row.npu_mode is not None:
        build["npu_mode"] = row.npu_mode.upper()
    request: dict[str, Any] = {}
    if row.metric == "vision_encode_ms":
        build["vision_dtype"] = _dtype(row.vision_dtype) or "u8"
        request["image_size"] = _need(row, "image_size")
        return Workload.of(row.model, model, build=build, request=request)
    build["weight_dtype"] = _dtype(row.weight_dtype) or "s8"
    build["float_matmul_on_conv"] = bool(row.float_matmul_on_conv)
    # Decode and post do not depend on the prompt; chunks do not depend on the compiled cache,
    # whose length a README often leaves out. So neither is held against the other.
    whole_prompt = row.metric in ("prefill_layer_ms", "ttft_ms")
    chunk = (row.prefill_chunk or DEFAULT_CHUNK) if whole_prompt else 1
    prompt = chunk * (row.prompt_chunks or 1)
    build["prefill_chunk"] = chunk
    build["kv_cache_len"] = max(row.kv_cache_len or DEFAULT_KV_CACHE, prompt)
    request |= {"prompt_tokens": prompt, "new_tokens": 1}
    return Workload.of(row.model, model, build=build, request=request)


def _network(row: Measurement, graphs: Path) -> Workload:
    """A row's network, which a file of the folder ``graphs`` holds."""
    files = {path.stem: path for path in sorted(graphs.glob("*.onnx"))}
    if row.model not in files:
        what = f"no file {row.model}.onnx in {graphs}"
        raise InputError(Problem("", "model", what, ", ".join(files), nearest(row.model, files)))
    build: dict[str, Any] = {"vision_dtype": _dtype(row.vision_dtype) or "u8", "link": row.link}
    if row.npu_mode is not None:
        build["npu_mode"] = row.npu_mode.upper()
    file = files[row.model].resolve()
    model: dict[str, Any] = {"onnx": str(file)}
    if row.image_size is not None:
        model["shapes"] = _open_sizes(file, row.image_size)
    return load_mapping(Workload, {"name": row.model, "model": model, "build": build}, row.model)


def _open_sizes(file: Path, side: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the inputs that are pictures of a size that the file leaves open."""
    from axsim.network import protobuf

    graph = protobuf.load(file).graph
    initialised = {tensor.name for tensor in graph.initializer}
    found: dict[str, tuple[int, ...]] = {}
    for value in graph.input:
        sizes = [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
        if value.name not in initialised and len(sizes) == 4 and not all(sizes):
            last = sizes[3] in (1, 3, 4)  # the channels
            assumed = (1, side, side, 3) if last else (1, 3, side, side)
            found[value.name] = tuple(n or m for n, m in zip(sizes, assumed, strict=True))
    return found


@lru_cache(maxsize=256)
def toolchain_of(name: str | None) -> Toolchain:
    """The generation that a row names: of several the newest, of none the newest that there is, of
    a version that is not told apart the one before it.

    Raises:
        InputError: it names none.
    """
    if name is None or name.lower() == "pulsar2":
        return NEWEST_TOOLCHAIN
    parts = [_version(part) for part in name.lower().removeprefix("pulsar2-").split("/")]
    versions = [version for version in parts if version is not None]
    if len(versions) < len(parts):
        hint = nearest(name.lower(), ALLOWED_TOOLCHAINS)
        allowed = ", ".join(ALLOWED_TOOLCHAINS)
        raise InputError(Problem("", "toolchain", f"found {name!r}", allowed, hint))
    before = [each for each in ALLOWED_TOOLCHAINS if _first(each) <= max(versions)]
    return before[-1] if before else ALLOWED_TOOLCHAINS[0]


def _version(text: str) -> tuple[int, float] | None:
    """``3.2`` as (3, 2), ``3.x`` as the last of them; None for what is no version."""
    match = re.fullmatch(r"(\d+)\.(\d+|x)", text)
    return match and (int(match[1]), inf if match[2] == "x" else int(match[2]))


def _first(toolchain: Toolchain) -> tuple[int, float]:
    """The first version of a generation."""
    version = _version(toolchain.removeprefix("pulsar2-").replace("x", "0"))
    assert version is not None
    return version


def _dtype(name: str | None) -> str | None:
    """The name that builds use: any case, and fp16, which the NPU stores as it does bf16."""
    return None if name is None else OTHER_NAMES.get(name.lower(), name.lower())


def _need(row: Measurement, column: str) -> int:
    value = getattr(row, column)
    if value is None:
        raise InputError(Problem("", column, f"is empty, but {row.metric} needs it"))
    return int(value)


def _compiler_cycles(row: Measurement, chip: Chip) -> float:
    return Npu().run(matmul_program(row, chip)).duration_us * chip.nominal().calibrated.clock_mhz


def matmul_program(row: Measurement, chip: Chip) -> Program:
    """The matmul of a ``compiler_cycles`` row, compiled for ``chip`` at its nominal clock."""
    matmul = Matmul.parse(row.model)
    if matmul is None:
        allowed = "matmul DTYPE ROWSxKxCOLUMNS"
        raise InputError(Problem("", "model", f"found {row.model!r}", allowed))
    mode = chip.mode((row.npu_mode or chip.default_mode).upper())
    return compile_lowered(_lower_matmul(matmul), chip.nominal(), mode, "decoder")


@lru_cache(maxsize=256)
def _lower_matmul(matmul: Matmul) -> Lowered:
    b = GraphBuilder("matmul")
    x = b.input("x", (matmul.rows, matmul.inner), matmul.dtype)
    y = b.input("y", (matmul.inner, matmul.columns), matmul.dtype)
    return lower(b.build([b.node("MatMul", [x, y], name="matmul")]))
