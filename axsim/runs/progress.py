"""How far the kernels of a run are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from axsim.compiler.partition import Deployment, Subgraph
from axsim.runs.sharing import (
    Key,
    calibrated,
    numbers_key,
    pixels_key,
    request_key,
    sees,
    text_key,
    vision_part,
)

if TYPE_CHECKING:
    from axsim.runs.judge import Judge
    from axsim.runs.run_pictures import RunPictures

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
    """Counts the work done for ``deployments``, which see ``pictures`` and are judged by ``judge``.
    ``runs`` has, by the identity of networks' deployments, how many inputs are compared and how
    many calibrate. ``label`` says what is being done now."""

    def __init__(
        self,
        deployments: Iterable[Deployment],
        pictures: RunPictures,
        judge: Judge | None,
        on_progress: OnProgress | None,
        runs: Mapping[int, tuple[int, int]] = MappingProxyType({}),
    ) -> None:
        self.label = ""
        self._on_progress = on_progress
        merged: dict[Key, float] = {}
        for each in deployments if on_progress is not None else ():
            merged |= _work(each, pictures, judge, runs.get(id(each), (1, 1)))
        self._done, self._total = 0.0, max(sum(merged.values()), 1.0)

    def tick(self, macs: int, kind: str) -> None:
        """So many multiply-accumulates are done; ``kind`` is a vision dtype, float32, prefill or
        decode."""
        if self._on_progress is None:
            return
        self._done = min(self._done + macs * _WORK[kind], self._total)
        self._on_progress(Progress(self._done, self._total, self.label))


def _work(
    deployment: Deployment, pictures: RunPictures, judge: Judge | None, runs: tuple[int, int]
) -> dict[Key, float]:
    """Units of work of each part of a variant's run, by the key that it is shared under."""
    workload = deployment.workload
    parts: dict[Key, float] = {}
    deployed = 0.0
    if sees(deployment):
        macs = _sum_macs(vision_part(deployment))
        compared = pictures.compared_count(deployment) * macs
        parts[request_key(deployment, "images")] = compared
        if calibrated(deployment):
            count = pictures.calibration_count(deployment)
            parts[pixels_key(deployment, "calibration")] = count * macs
        deployed += compared * _WORK[workload.build.vision_dtype]
    if deployment.graph is not None:
        macs = _sum_macs(deployment.graph)
        kind = workload.build.vision_dtype
        compared_inputs, calibrating = runs
        calibrating = 0 if kind == "bf16" else calibrating
        deployed += macs * (compared_inputs * (1 + _WORK[kind]) + calibrating)
    cfg = deployment.model.decoder
    if cfg is not None:
        layers, post = cfg.num_hidden_layers, _sum_macs(deployment.post)
        before = sum(map(_sum_macs, deployment.chunks(0, workload.cached_tokens))) * layers
        prefill = [sum(map(_sum_macs, turn.prefill)) * layers for turn in deployment.turns]
        parts[request_key(deployment, "logits")] = before + prefill[0] + post
        step = _sum_macs(deployment.decode) * layers + post
        steps = sum((turn.new_tokens - 1) * step + post for turn in workload.asked)
        deployed += (before + sum(prefill)) * _WORK["prefill"] + steps * _WORK["decode"]
        if judge is not None:
            read, head = judge.macs(deployment)
            parts[("text reference", deployment.model)] = read
            parts[text_key(deployment, "text")] = read * _WORK["prefill"] + head * (
                _WORK["float32"] + _WORK["prefill"]
            )
    parts[numbers_key(deployment, "all")] = deployed
    return parts


def _sum_macs(subgraph: Subgraph) -> float:
    return float(sum(step.macs for segment in subgraph.program.segments for step in segment.steps))
