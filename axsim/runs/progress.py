"""How far the kernels of a run are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from axsim.compiler.partition import Deployment, Subgraph
from axsim.runs.sharing import (
    Key,
    calibrated,
    numbers_key,
    pixels_key,
    request_key,
    sees,
    vision_part,
)

_WORK = {"float32": 1.0, "u8": 0.4, "u16": 0.8, "bf16": 1.1, "prefill": 1.1, "decode": 12.0}
"""Rough cost of a multiply-accumulate by arithmetic; decode steps are bound by memory."""


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` units of work, now at ``label``."""

    done: float
    total: float
    label: str


OnProgress = Callable[[Progress], None]


class Meter:
    """Counts the work done for ``deployments``, of which each calibrates on
    ``calibration_pictures`` of its own. ``runs`` has, by the identity of networks' deployments, how
    many inputs are compared and how many calibrate. ``label`` says what is being done now."""

    def __init__(
        self,
        deployments: Iterable[Deployment],
        calibration_pictures: int,
        on_progress: OnProgress | None,
        runs: Mapping[int, tuple[int, int]] = MappingProxyType({}),
    ) -> None:
        self.label = ""
        self._on_progress = on_progress
        merged: dict[Key, float] = {}
        for each in deployments:
            merged |= _work(each, calibration_pictures, runs.get(id(each), (1, 1)))
        self._done, self._total = 0.0, max(sum(merged.values()), 1.0)

    def tick(self, macs: int, kind: str) -> None:
        """So many multiply-accumulates are done; ``kind`` is a vision dtype, float32, prefill or
        decode."""
        if self._on_progress is None:
            return
        self._done = min(self._done + macs * _WORK[kind], self._total)
        self._on_progress(Progress(self._done, self._total, self.label))


def _work(
    deployment: Deployment, calibration_pictures: int, runs: tuple[int, int]
) -> dict[Key, float]:
    """Units of work of each part of a variant's run, by the key that it is shared under."""
    workload = deployment.workload
    parts: dict[Key, float] = {}
    deployed = 0.0
    if sees(deployment):
        macs = _sum_macs(vision_part(deployment))
        parts[request_key(deployment, "vision reference")] = workload.images * macs
        if calibrated(deployment):
            parts[pixels_key(deployment, "calibration")] = calibration_pictures * macs
        deployed += workload.images * macs * _WORK[workload.build.vision_dtype]
    if deployment.graph is not None:
        macs = _sum_macs(deployment.graph)
        kind = workload.build.vision_dtype
        compared, calibrating = runs
        calibrating = 0 if kind == "bf16" else calibrating
        deployed += macs * (compared * (1 + _WORK[kind]) + calibrating)
    cfg = deployment.model.decoder
    if cfg is not None:
        prefill = sum(map(_sum_macs, deployment.prefill)) * cfg.num_hidden_layers
        post = _sum_macs(deployment.post)
        parts[request_key(deployment, "logits reference")] = prefill + post
        step = _sum_macs(deployment.decode) * cfg.num_hidden_layers + post
        steps = (workload.new_tokens - 1) * step + post
        deployed += prefill * _WORK["prefill"] + steps * _WORK["decode"]
    parts[numbers_key(deployment, "all")] = deployed
    return parts


def _sum_macs(subgraph: Subgraph) -> float:
    return float(sum(step.macs for segment in subgraph.program.segments for step in segment.steps))
