"""What axsim says about a ledger row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from axsim.chip import Chip, load_chip
from axsim.compiler.compile import compile_lowered
from axsim.compiler.lower import Lowered, lower
from axsim.compiler.partition import Deployment
from axsim.descriptor import shipped
from axsim.diagnosis import nearest
from axsim.errors import InputError, Problem
from axsim.fidelity.ledger import Matmul, Measurement
from axsim.graph.builder import GraphBuilder
from axsim.machine.npu import Npu
from axsim.models.config import ModelConfig
from axsim.runtime.stages import time_stages
from axsim.workload import Workload


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
    rows: tuple[Measurement, ...], models: Mapping[str, ModelConfig], chips: Mapping[str, Chip]
) -> list[Compared]:
    """Predict every row; equal configurations are simulated once."""
    known: dict[object, float] = {}
    result = []
    for row in rows:
        conditions = tuple(
            getattr(row, name)
            for name in row.__dataclass_fields__
            if name not in ("id", "value", "source", "note", "line", "toolchain")
        )
        try:
            if conditions not in known:
                known[conditions] = predict(row, models, chips)
            result.append(Compared(row, known[conditions]))
        except InputError as error:
            result.append(Compared(row, None, "; ".join(str(p) for p in error.problems)))
    return result


def shipped_chips() -> dict[str, Chip]:
    """Every shipped chip by name."""
    return {name: load_chip(path) for name, path in shipped("chip").items()}


def predict(
    row: Measurement, models: Mapping[str, ModelConfig], chips: Mapping[str, Chip]
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
    if row.model not in models:
        hint = nearest(row.model, models)
        raise InputError(Problem("", "model", f"unknown model {row.model!r}", "", hint))
    deployment = Deployment(_workload(row, models[row.model]), chip)
    if row.metric == "vision_encode_ms":
        assert deployment.vision is not None
        return Npu().run(deployment.vision.program).duration_ms
    if row.metric == "prefill_layer_ms":
        subgraph = deployment.layer(_need(row, "prefill_chunk"), row.cached_tokens or 0)
        return Npu().run(subgraph.program).duration_ms
    if row.metric == "decode_layer_ms":
        return Npu().run(deployment.decode.program).duration_ms
    if row.metric == "post_ms":
        return Npu().run(deployment.post.program).duration_ms
    stages = time_stages(deployment)
    return stages.ttft_ms if row.metric == "ttft_ms" else stages.decode_tokens_per_s


def _workload(row: Measurement, model: ModelConfig) -> Workload:
    build: dict[str, Any] = {
        name: getattr(row, name)
        for name in ("vision_dtype", "weight_dtype", "prefill_chunk", "kv_cache_len", "npu_mode")
        if getattr(row, name) is not None
    }
    if row.float_matmul_on_conv is not None:
        build["float_matmul_on_conv"] = row.float_matmul_on_conv
    request: dict[str, Any] = {"new_tokens": 1}
    if row.metric == "vision_encode_ms":
        if model.vision is None:
            raise InputError(Problem("", "model", f"{row.model} has no vision tower"))
        model = ModelConfig(None, model.vision, model.projector)
        request["image_size"] = _need(row, "image_size")
        build.pop("prefill_chunk", None)
    else:
        if model.decoder is None:
            raise InputError(Problem("", "model", f"{row.model} has no decoder"))
        model = ModelConfig(model.decoder)
        chunk = row.prefill_chunk or 128
        needed = (row.cached_tokens or 0) + chunk
        build["kv_cache_len"] = max(row.kv_cache_len or 1023, needed)
        request["prompt_tokens"] = chunk * (row.prompt_chunks or 1)
    return Workload.of(row.model, model, build=build, request=request)


def _need(row: Measurement, column: str) -> int:
    value = getattr(row, column)
    if value is None:
        raise InputError(Problem("", column, f"is empty, but {row.metric} needs it"))
    return int(value)


def _compiler_cycles(row: Measurement, chip: Chip) -> float:
    matmul = Matmul.parse(row.model)
    if matmul is None:
        allowed = "matmul DTYPE ROWSxKxCOLUMNS"
        raise InputError(Problem("", "model", f"found {row.model!r}", allowed))
    modes = {str(name): groups for name, groups in chip.modes.items()}
    mode = row.npu_mode or chip.default_mode
    if mode not in modes:
        what = f"{chip.name} has no NPU mode {mode!r}"
        raise InputError(Problem("", "npu_mode", what, ", ".join(modes)))
    nominal = chip.nominal()
    program = compile_lowered(_lower_matmul(matmul), nominal, modes[mode], "decoder")
    return Npu().run(program).duration_us * nominal.calibrated.clock_mhz


@lru_cache(maxsize=256)
def _lower_matmul(matmul: Matmul) -> Lowered:
    b = GraphBuilder("matmul")
    x = b.input("x", (matmul.rows, matmul.inner), matmul.dtype)
    y = b.input("y", (matmul.inner, matmul.columns), matmul.dtype)
    return lower(b.build([b.node("MatMul", [x, y], name="matmul")]))
