"""A chip's ``power`` block from readings of a meter, by non-negative least squares.

The mean watts of a run that is repeated while the meter is read are linear in the block: idle
watts, the time that units work in a millisecond, the bytes and the multiply-accumulates that they
do in it. What the chip does in a millisecond is the simulation's; the readings say what it draws.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from axsim.compiler.partition import Deployment
from axsim.errors import InputError, Problem
from axsim.fidelity.csv_records import records, whole
from axsim.fidelity.fit import scipy_optimize
from axsim.spec.chip import Chip
from axsim.spec.descriptor import parse_overrides
from axsim.spec.diagnosis import nearest
from axsim.spec.power import MAC_TYPES
from axsim.spec.workload import Workload, load_workload
from axsim.system.alone import alone
from axsim.system.energy import ChipWork, work_of_stages
from axsim.system.request import Stage

Floats = npt.NDArray[np.float64]

IDLE = "idle"
RUNS = (IDLE, "request", *get_args(Stage))
"""What was repeated while the meter was read: nothing, the whole request, or one stage of it."""
COLUMNS = ("id", "workload", "variant", "set", "run", "watts", "note")
REQUIRED = ("id", "run", "watts")
UNITS = ("conv", "teng", "sdma", "cpu")
OPEN = 1e-6
"""A parameter is open when others can make up for it in every reading to this fraction."""


@dataclass(frozen=True)
class Reading:
    """Mean ``watts`` while ``run`` of a workload's variant, with these keys set, is repeated."""

    id: str
    workload: str
    variant: str
    set: str
    run: str
    watts: float
    where: str


@dataclass(frozen=True)
class PowerParameter:
    """One number of the block. ``error`` is its standard error, None where the readings are too few
    to tell. ``open`` names the parameters that can make up for it in every reading; then the value
    is one of many. ``readings`` are those that move it, with their shares of its variance."""

    name: str
    value: float
    error: float | None
    open: tuple[str, ...]
    readings: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class PowerFit:
    """The parameters, and each reading beside the watts that they give. ``unseen`` are parameters
    that no reading depends on, ``kept`` those that were not fitted, with their values."""

    parameters: tuple[PowerParameter, ...]
    readings: tuple[Reading, ...]
    watts: tuple[float, ...]
    unseen: tuple[str, ...]
    kept: Mapping[str, float]

    @property
    def block(self) -> dict[str, Any]:
        """The ``power`` block as a chip's file has it, without its source."""
        found: dict[str, Any] = {}
        values = {**self.kept, **{each.name: each.value for each in self.parameters}}
        for name, value in values.items():
            section, _, key = name.partition(".")
            if key:
                found.setdefault(section, {})[key] = value
            else:
                found[section] = value
        return {"idle_w": 0.0, **found}


def load_readings(path: Path) -> tuple[Reading, ...]:
    """Read a file of readings.

    Raises:
        InputError: every fault with its line and column.
    """
    faults: list[Problem] = []
    readings: list[Reading] = []
    for line, record in records(path, COLUMNS, REQUIRED, "readings"):
        where = f"{path}:{line}"
        try:
            readings.append(_reading(whole(record, where), where))
        except InputError as error:
            faults += error.problems
    seen: set[str] = set()
    for each in readings:
        if each.id in seen:
            faults.append(Problem(each.where, "id", f"{each.id!r} is given twice"))
        seen.add(each.id)
    if not readings and not faults:
        faults.append(Problem(str(path), "", "has no readings"))
    if faults:
        raise InputError(faults)
    return tuple(readings)


def _reading(record: Mapping[str, str], where: str) -> Reading:
    faults = []
    watts = _watts(record["watts"])
    if watts is None:
        faults.append(Problem(where, "watts", f"found {record['watts']!r}", "a positive number"))
    run = record["run"].lower()
    if run not in RUNS:
        hint = nearest(run, RUNS)
        faults.append(Problem(where, "run", f"found {record['run']!r}", ", ".join(RUNS), hint))
    if not record["id"]:
        faults.append(Problem(where, "id", "is empty", "a name"))
    if run in RUNS[1:] and not record.get("workload"):
        faults.append(Problem(where, "workload", f"is empty, but {run} needs one"))
    if faults or watts is None:
        raise InputError(faults)
    workload, variant, keys = (record.get(name, "") for name in ("workload", "variant", "set"))
    return Reading(record["id"], workload, variant, keys, run, watts, where)


def _watts(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < math.inf else None


def work_per_ms(reading: Reading, chip: Chip) -> ChipWork:
    """What the chip does in a millisecond of the reading's run.

    Raises:
        InputError: there is no such workload, variant, key or stage.
    """
    if reading.run == IDLE:
        return ChipWork()
    try:
        request = alone(Deployment(_workload(reading), chip))
    except InputError as error:
        places = (": ".join(filter(None, (reading.where, each.where))) for each in error.problems)
        raise InputError(
            Problem(place, each.key, each.what, each.allowed, each.nearest)
            for place, each in zip(places, error.problems, strict=True)
        ) from None
    stages = get_args(Stage) if reading.run == "request" else (reading.run,)
    work, ms = work_of_stages(request, stages)
    if not ms:
        there = ", ".join(dict.fromkeys(each.stage for each in request.passes))
        what = f"{reading.workload} has no {reading.run}"
        raise InputError(Problem(reading.where, "run", what, f"idle, request, {there}"))
    return ChipWork(
        {name: busy / ms for name, busy in work.busy_ms.items()},
        work.dram_bytes / ms,
        {kind: round(count / ms) for kind, count in work.macs.items()},
    )


def _workload(reading: Reading) -> Workload:
    keys = parse_overrides(part for part in reading.set.split(";") if part.strip())
    if reading.variant:
        return load_workload(reading.workload, keys, reading.variant)
    found = load_workload(reading.workload, keys).expand()
    if len(found) > 1:
        what = f"{reading.workload} has several variants"
        raise InputError(Problem("", "variant", what, ", ".join(found)))
    return next(iter(found.values()))


def fit_power(chip: Chip, readings: Sequence[Reading], keep: Collection[str] = ()) -> PowerFit:
    """The block that comes nearest to all readings, no part of it negative. Parameters of ``keep``
    stay as the chip has them, or 0.

    Raises:
        InputError: a reading's run does not exist, ``keep`` names no parameter, or scipy is not
            installed.
    """
    works = [work_per_ms(each, chip) for each in readings]
    columns = _columns(works)
    unknown = [name for name in keep if name not in columns]
    if unknown:
        hint = nearest(unknown[0], columns)
        what = f"{unknown[0]!r} is no parameter of the power block"
        raise InputError(Problem("--keep", "", what, ", ".join(columns), hint))
    kept = {name: _held(chip, name) for name in columns if name in keep}
    seen = {n: column for n, column in columns.items() if n not in kept and column.any()}
    if not seen:
        raise InputError(Problem("--keep", "", "leaves nothing to fit"))
    fixed = sum((kept[name] * columns[name] for name in kept), np.zeros(len(works)))
    matrix: Floats = np.column_stack(list(seen.values()))
    watts: Floats = np.array([each.watts for each in readings]) - fixed
    scale = np.linalg.norm(matrix, axis=0)
    values: Floats = scipy_optimize().nnls(matrix / scale, watts)[0] / scale
    names = list(seen)
    parameters = _parameters(names, matrix, watts, values, [each.id for each in readings])
    unseen = tuple(name for name in columns if name not in seen and name not in kept)
    fitted = tuple((matrix @ values + fixed).tolist())
    return PowerFit(parameters, tuple(readings), fitted, unseen, kept)


def _held(chip: Chip, name: str) -> float:
    """A parameter of the block that the chip has; 0 where it has none."""
    section, _, key = name.partition(".")
    held = getattr(chip.power, section, 0.0)
    return float(held.get(key, 0.0) if isinstance(held, Mapping) else held)


def _columns(works: Sequence[ChipWork]) -> dict[str, Floats]:
    """Of each parameter, what one unit of it adds to the watts of each reading."""
    found: dict[str, list[float]] = {"idle_w": [1.0] * len(works)}
    for unit in UNITS:
        found[f"{unit}_w"] = [work.busy_ms.get(unit, 0.0) for work in works]
    found["dram_pj_per_byte"] = [1e-9 * work.dram_bytes for work in works]
    for kind in MAC_TYPES:
        found[f"mac_pj.{kind}"] = [1e-9 * work.macs.get(kind, 0) for work in works]
    return {name: np.array(values) for name, values in found.items()}


def _parameters(
    names: Sequence[str], matrix: Floats, watts: Floats, values: Floats, ids: Sequence[str]
) -> tuple[PowerParameter, ...]:
    unit = matrix / np.linalg.norm(matrix, axis=0)
    confounded = _confounded(unit, names)
    used = values > 0
    inverse = np.zeros_like(unit.T)
    inverse[used] = np.linalg.pinv(unit[:, used])
    inverse /= np.linalg.norm(matrix, axis=0)[:, None]
    freedom = len(watts) - int(used.sum())
    residual = float(np.sum((watts - matrix @ values) ** 2))
    spread = math.sqrt(residual / freedom) if freedom > 0 else None
    found = []
    for index, name in enumerate(names):
        squares = inverse[index] ** 2
        total = float(squares.sum())
        error = None if spread is None or not used[index] else spread * math.sqrt(total)
        shares = squares / total if total else squares
        order = np.argsort(-shares, kind="stable")
        most = tuple((ids[i], float(shares[i])) for i in order if shares[i] >= 0.05)
        found.append(
            PowerParameter(name, _rounded(float(values[index])), error, confounded[name], most)
        )
    return tuple(found)


def _confounded(unit: Floats, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """For each parameter the others that move with it where no reading changes: columns of the
    projection onto the null space."""
    _, sizes, rows = np.linalg.svd(unit, full_matrices=True)
    rank = int((sizes > OPEN * sizes[0]).sum())
    projection = rows[rank:].T @ rows[rank:]
    return {
        name: tuple(
            other
            for j, other in enumerate(names)
            if j != i and projection[i, i] > OPEN and abs(projection[i, j]) > OPEN
        )
        for i, name in enumerate(names)
    }


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
