"""One row of a ledger explained: where its predicted time goes, which numbers of the chip decide
it, and which other rows say the opposite about the same numbers.

That is how a missing mechanism shows: rows that the same parameters decide, and that are wrong in
opposite directions, cannot both be put right by any value of these.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from axsim.errors import InputError, Problem
from axsim.fidelity.coverage import Judged, judge
from axsim.fidelity.ledger import Measurement, series
from axsim.fidelity.predict import (
    Compared,
    compare,
    deployment_of,
    matmul_program,
    measured_subgraph,
)
from axsim.machine.npu import Npu
from axsim.models.config import ModelConfig
from axsim.spec.chip import Chip
from axsim.system.alone import alone
from axsim.system.breakdown import StageBreakdown, breakdown, invocation_breakdown
from axsim.system.request import Stage
from axsim.system.request_timeline import Part

STEP = 0.01
"""Relative change of a number for its elasticity."""
WORTH = 0.02
"""An elasticity below this is not told."""
DECIDING = 5
"""Numbers that decide a row, by which others are compared with it."""
ALIKE = 0.5
"""Part of the dependence that two rows must share to be compared."""
BEYOND = 0.01
"""Relative error that counts as a direction."""
SHOWN = 8
"""Rows that are told at most, one of each series."""
RATE = "decode_tokens_per_s"


@dataclass(frozen=True)
class Elasticity:
    """How the predicted time of a row changes with a number of the chip's description: per cent for
    one per cent. ``calibrated`` says whether it is fitted."""

    key: str
    value: float
    elasticity: float
    calibrated: bool

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"key": self.key, "value": self.value, "elasticity": self.elasticity}


@dataclass(frozen=True)
class Disagreement:
    """A row that depends on the same numbers, to the fraction ``shared``, and is wrong in the other
    direction. ``time_error`` is predicted over measured time, minus 1."""

    row: Measurement
    time_error: float
    shared: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"id": self.row.id, "time_error": self.time_error, "shared": self.shared}


@dataclass(frozen=True)
class RowExplanation:
    """``operators`` and ``engines`` split the predicted time, in milliseconds (cycles for the
    compiler's counts), by operator class and by what is waited for; a rate is explained by
    the time of one token. ``busy`` is the part of that time that each engine works."""

    compared: Compared
    judged: Judged
    total: float
    operators: Mapping[str, float]
    engines: Mapping[str, float]
    busy: Mapping[str, float]
    elasticities: tuple[Elasticity, ...]
    disagreeing: tuple[Disagreement, ...]

    @property
    def unit(self) -> str:
        """Of the times."""
        return "cycles" if self.compared.row.metric == "compiler_cycles" else "ms"

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        row = self.compared.row
        return {
            "id": row.id,
            "chip": row.chip,
            "model": row.model,
            "metric": row.metric,
            "measured": row.value,
            "predicted": self.compared.predicted,
            "error": self.compared.error,
            "left_out_error": self.judged.error if self.judged.left_out else None,
            "half_width": self.judged.interval.high,
            "extrapolated": self.judged.extrapolated or None,
            "unit": self.unit,
            "total": self.total,
            "by_operator": dict(self.operators),
            "by_engine": dict(self.engines),
            "busy": dict(self.busy),
            "elasticities": [each.to_dict() for each in self.elasticities],
            "disagreeing": [each.to_dict() for each in self.disagreeing],
        }


def explain_row(
    name: str,
    rows: Sequence[Measurement],
    models: Mapping[str, ModelConfig],
    chips: Mapping[str, Chip],
    graphs: Path | None = None,
) -> RowExplanation:
    """Explain the row of ``rows`` with the id ``name``; ``graphs`` as :func:`compare` takes it.

    Raises:
        InputError: there is no such row, or it cannot be predicted.
    """
    row = _find(name, rows)
    (compared,) = compare((row,), models, chips, graphs)
    if compared.predicted is None:
        raise InputError(Problem(f"line {row.line}", row.id, compared.reason))
    chip = chips[row.chip.lower()]
    stages = _stages(row, models, chip, graphs)
    scale = chip.nominal().calibrated.clock_mhz * 1e3 if row.metric == "compiler_cycles" else 1.0
    total = 1e3 / compared.predicted if row.metric == RATE else compared.predicted
    operators, engines = (
        _parts([getattr(stage, part) for stage in stages], scale, total)
        for part in ("by_operator", "by_engine")
    )
    elasticities = tuple(_elasticities(row, models, chip, graphs))
    return RowExplanation(
        compared,
        judge([compared], models, chips)[row.id],
        total,
        operators,
        engines,
        _busy(stages),
        elasticities,
        _disagreeing(compared, elasticities[:DECIDING], rows, models, chip, graphs),
    )


def _find(name: str, rows: Sequence[Measurement]) -> Measurement:
    for row in rows:
        if row.id.lower() == name.lower():
            return row
    ids = [row.id for row in rows]
    near = get_close_matches(name.upper(), ids, 3, 0.4)
    what = f"the ledger has no row {name!r}"
    what += f"; nearest: {', '.join(near)}" if near else ""
    allowed = f"any of its {len(ids)} rows, {ids[0]} to {ids[-1]}; axsim validate lists them"
    raise InputError(Problem("", "--explain", what, allowed))


def _stages(
    row: Measurement, models: Mapping[str, ModelConfig], chip: Chip, graphs: Path | None
) -> tuple[StageBreakdown, ...]:
    """The breakdowns of what the row measures."""
    npu = Npu()
    if row.metric == "compiler_cycles":
        timeline = npu.run(matmul_program(row, chip))
        return (invocation_breakdown(Part("prefill"), timeline, chip.nominal()),)
    deployment = deployment_of(row, models, chip, graphs)
    if row.metric in _STAGES:
        timeline = npu.run(measured_subgraph(row, deployment).program)
        return (invocation_breakdown(Part(_STAGES[row.metric]), timeline, chip),)
    wanted = ("decode", "post") if row.metric == RATE else ("prefill", "post")
    whole = breakdown(alone(deployment, npu), chip)
    return tuple(stage for stage in whole if stage.part.stage in wanted)


_STAGES: dict[str, Stage] = {
    "vision_encode_ms": "vision",
    "prefill_layer_ms": "prefill",
    "decode_layer_ms": "decode",
    "post_ms": "post",
    "graph_ms": "graph",
}
"""Metrics that are one invocation of one subgraph."""


def _parts(stages: Sequence[Mapping[str, float]], scale: float, total: float) -> dict[str, float]:
    """The sums by name, largest first; what is missing of ``total`` is outside the NPU."""
    sums: dict[str, float] = defaultdict(float)
    for parts in stages:
        for name, ms in parts.items():
            sums[name] += ms * scale
    rest = total - sum(sums.values())
    if abs(rest) > 1e-6 * total:
        sums["around the NPU"] += rest
    return dict(sorted(sums.items(), key=lambda item: -item[1]))


def _busy(stages: Sequence[StageBreakdown]) -> dict[str, float]:
    ms = sum(stage.ms for stage in stages)
    names = dict.fromkeys(name for stage in stages for name in stage.busy)
    shares = {n: sum(stage.busy.get(n, 0.0) * stage.ms for stage in stages) / ms for n in names}
    return {name: share for name, share in shares.items() if share >= 0.005}


def numbers(chip: Chip) -> Iterator[tuple[str, float]]:
    """The numbers of a chip that time may follow smoothly, by dotted key: rates, efficiencies and
    sizes, not counts and tiles."""
    sections = {
        "calibrated": chip.calibrated,
        "npu": chip.npu,
        "npu.conv": chip.npu.conv,
        "dram": chip.dram,
        "cpu": chip.cpu,
        "host": chip.host,
    }
    for path, section in sections.items():
        for name, value in section:
            smooth = isinstance(value, float) or name in ("ocm_bytes", "int8_macs_per_cycle")
            if smooth and value and not isinstance(value, bool):
                yield f"{path}.{name}", float(value)


def changed(chip: Chip, key: str, value: float) -> Chip:
    """``chip`` with another number; bounds are not checked."""
    *path, name = key.split(".")
    sections: list[Any] = [chip]
    for part in path:
        sections.append(getattr(sections[-1], part))
    copy = sections.pop().model_copy(update={name: value})
    while sections:
        copy = sections.pop().model_copy(update={path.pop(): copy})
    assert isinstance(copy, Chip)
    return copy


def _log_times(
    rows: Sequence[Measurement],
    models: Mapping[str, ModelConfig],
    chip: Chip,
    graphs: Path | None,
) -> list[float | None]:
    """The logarithm of each row's predicted time, up to a constant."""
    compared = compare(tuple(rows), models, {chip.name.lower(): chip}, graphs)
    return [
        None if each.predicted is None else _sign(each.row) * math.log(each.predicted)
        for each in compared
    ]


def _sign(row: Measurement) -> float:
    return -1.0 if row.metric == RATE else 1.0


def _elasticities(
    row: Measurement, models: Mapping[str, ModelConfig], chip: Chip, graphs: Path | None
) -> list[Elasticity]:
    """Of one row, largest first."""
    (here,) = _log_times([row], models, chip, graphs)
    elasticities = []
    for key, value in numbers(chip):
        nudged = changed(chip, key, value * (1 + STEP))
        (moved,) = _log_times([row], models, nudged, graphs)
        if moved is not None and here is not None:
            slope = (moved - here) / math.log1p(STEP)
            if abs(slope) >= WORTH:
                calibrated = key.startswith("calibrated.")
                elasticities.append(Elasticity(key, value, slope, calibrated))
    return sorted(elasticities, key=lambda each: (-abs(each.elasticity), each.key))


def _disagreeing(
    compared: Compared,
    deciding: Sequence[Elasticity],
    rows: Sequence[Measurement],
    models: Mapping[str, ModelConfig],
    chip: Chip,
    graphs: Path | None,
) -> tuple[Disagreement, ...]:
    """Rows of the chip with the opposite error and the same dependence, the most telling first."""
    assert compared.predicted is not None
    own = _sign(compared.row) * math.log(compared.predicted / compared.row.value)
    others = [row for row in rows if row.chip.lower() == chip.name.lower()]
    here = _log_times(others, models, chip, graphs)
    moved = [
        _log_times(others, models, changed(chip, each.key, each.value * (1 + STEP)), graphs)
        for each in deciding
    ]
    whole = sum(abs(each.elasticity) for each in deciding) or 1.0
    best: dict[object, Disagreement] = {}
    for index, row in enumerate(others):
        time = here[index]
        if time is None or row.id == compared.row.id:
            continue
        error = time - _sign(row) * math.log(row.value)
        if error * own >= 0 or abs(error) < BEYOND:
            continue
        slopes = [
            0.0 if after[index] is None else (after[index] - time) / math.log1p(STEP)  # type: ignore[operator]
            for after in moved
        ]
        shared = sum(
            max(0.0, min(abs(each.elasticity), slope * math.copysign(1, each.elasticity)))
            for each, slope in zip(deciding, slopes, strict=True)
        )
        found = Disagreement(row, math.expm1(error), shared / whole)
        key = series(row)
        if found.shared >= ALIKE and (key not in best or _weight(found) > _weight(best[key])):
            best[key] = found
    return tuple(sorted(best.values(), key=lambda each: (-_weight(each), each.row.id))[:SHOWN])


def _weight(each: Disagreement) -> float:
    return each.shared * abs(math.log1p(each.time_error))
