"""Computing one point, in whatever process: its rows, or a row that says what went wrong.

What points have in common is made once per process: parsed descriptors, lowered graphs, programs
compiled for a chip and the timed segments of these. All of it is a pure function of its key.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from axsim.compiler.lower import Lowered
from axsim.compiler.partition import Deployment, Subgraph
from axsim.errors import InputError
from axsim.fidelity.published import Published, shipped_ledger_of
from axsim.machine.npu import Npu
from axsim.numerics.formats import Part
from axsim.runs.results import RunResult
from axsim.runs.run import run_kernels
from axsim.runs.shared_run import simulated
from axsim.runs.timed import time_variant
from axsim.spec.chip import Chip
from axsim.spec.descriptor import load_mapping, split_overrides
from axsim.spec.scenario import Scenario
from axsim.spec.workload import Workload, layered
from axsim.study.grid import Point
from axsim.system.network_names import check_names

Row = dict[str, Any]
"""A flat row of JSON types."""

PROGRAMS = 256
"""Compiled programs that a machine remembers: some tens of megabytes."""


def evaluate(point: Point) -> list[Row]:
    """One row per variant, or one of a scenario. A failure becomes a row with its ``error``;
    nothing is raised."""
    settings = json.loads(point.settings)
    chip_keys, keys = split_overrides(settings, "chip")
    given: Row = {"chip": point.chip_name, **settings}
    if point.tenants:
        try:
            return [{**_scenario_row(point, chip_keys, keys), **given, "error": None}]
        except Exception as error:
            return [_failed(given, error)]
    try:
        bench = _bench(point.chip, json.dumps(chip_keys))
        chosen = _variants(point.workload, json.dumps(keys), point.variants, point.varied)
    except Exception as error:
        return [_failed(given, error)]
    rows = []
    for name, workload in chosen.items():
        try:
            row = _row(name, workload, bench, point)
            rows.append({**row, **given, "error": None})
        except Exception as error:
            rows.append(_failed({"variant": name, **given}, error))
    return rows


def check_point(point: Point) -> None:
    """Find out before a long sweep that a network cannot be read, whatever the varied keys, or that
    its kernels can't have their pictures or their text.

    Raises:
        InputError: as :func:`axsim.run`; other faults are left to the point's row.
    """
    from axsim.runs.checks import check_deployments

    chip_keys, keys = split_overrides(json.loads(point.settings), "chip")
    try:
        bench = _bench(point.chip, json.dumps(chip_keys))
        chosen = _variants(point.workload, json.dumps(keys), point.variants, point.varied)
    except InputError:
        return
    deployments = [Deployment(each, bench.chip) for each in chosen.values()]
    if not any(key.startswith("model.") for key in point.varied):
        for each in deployments:
            _ = each.network
            check_names(each)
    if not point.timing_only:
        check_deployments(deployments, point.sources)


def evaluate_all(points: Sequence[Point]) -> list[list[Row]]:
    """:func:`evaluate` of some points, in their order."""
    if not all(point.timing_only for point in points):
        return [evaluate(point) for point in points]
    with _no_garbage_collection():
        return [evaluate(point) for point in points]


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Timing a point makes many small objects and next to no cycles: looking for some again and
    again takes up to a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            # what is left is old now, without a look at each of them
            gc.freeze()
            gc.unfreeze()
            gc.enable()


def _row(name: str, workload: Workload, bench: _Bench, point: Point) -> Row:
    deployment = _SharedDeployment(workload, bench.chip, bench.machine)
    result = time_variant(name, {}, deployment, bench.machine.npu, bench.published)
    if point.timing_only:
        return result.to_row()
    timed = RunResult(workload.name, bench.chip.name, (result,), timing_only=True)
    *_, last = run_kernels(timed, point.sources)
    return last[0].to_row()


def _scenario_row(point: Point, chip_keys: Mapping[str, Any], keys: Mapping[str, Any]) -> Row:
    scenario = load_mapping(Scenario, json.loads(point.workload), "", keys)
    chip = load_mapping(Chip, json.loads(point.chip), "", chip_keys, under="chip.")
    return {"variant": scenario.name, **simulated(scenario, chip).to_row()}


def _failed(row: Row, error: Exception) -> Row:
    if isinstance(error, InputError):
        return {**row, "error": "; ".join(map(str, error.problems))}
    return {**row, "error": f"{type(error).__name__}: {error}"}


@dataclass
class _Machine:
    """An NPU, the programs that were compiled for it and how long their segments take."""

    npu: Npu = field(default_factory=Npu)
    compiled: dict[object, Subgraph] = field(default_factory=dict)


@dataclass(frozen=True)
class _Bench:
    """A chip with its machine and the measurements that its predictions are held against."""

    chip: Chip
    published: Published | None
    machine: _Machine


@dataclass(frozen=True)
class _SharedDeployment(Deployment):
    """Takes programs from the machine. Lowering shares its results, so that one graph is one
    object; the machine holds it, so that its identity stays its own."""

    machine: _Machine

    def _compile(self, lowered: Lowered, part: Part) -> Subgraph:
        known = self.machine.compiled
        key = (id(lowered.graph), self.mode, part)
        if key not in known:
            if len(known) == PROGRAMS:
                known.clear()
                self.machine.npu = Npu()  # it remembers the programs' segments
            known[key] = super()._compile(lowered, part)
        return known[key]


@lru_cache(maxsize=16)
def _bench(chip: str, overrides: str) -> _Bench:
    loaded = load_mapping(Chip, json.loads(chip), "", json.loads(overrides), under="chip.")
    sections = (loaded.npu, loaded.dram, loaded.calibrated)
    machine = _machine("\n".join(each.model_dump_json() for each in sections))
    return _Bench(loaded, shipped_ledger_of(loaded), machine)


@lru_cache(maxsize=4)
def _machine(sections: str) -> _Machine:
    """One machine for chips that differ in the host alone: no program depends on that."""
    return _Machine()


@lru_cache(maxsize=256)
def _variants(
    workload: str, overrides: str, names: tuple[str, ...] | None, varied: tuple[str, ...]
) -> Mapping[str, Workload]:
    document, keys = json.loads(workload), json.loads(overrides)
    if names is None:
        replacing = {key: keys[key] for key in varied if key in keys}
        document["variants"] = _replaced(document.get("variants", ()), replacing)
        return load_mapping(Workload, document, "", keys).expand()
    own = {each["name"]: each["set"] for each in document["variants"]}
    return {
        name: load_mapping(Workload, document, "", {**layered(own[name], keys), "variants": ()})
        for name in names
    }


def _replaced(variants: Sequence[Row], keys: Row) -> list[Row]:
    """Variants with ``keys`` in place of what they set. Those that become the same are there once;
    one that is none of ``variants`` is named by its values."""
    names = {json.dumps(each["set"], sort_keys=True): each["name"] for each in variants}
    found: dict[str, Row] = {}
    for each in variants:
        values = {key: keys.get(key, value) for key, value in each["set"].items()}
        text = json.dumps(values, sort_keys=True)
        joined = "-".join(str(value) for value in values.values() if value is not None)
        found.setdefault(text, {"name": names.get(text, joined), "set": values})
    return list(found.values())
