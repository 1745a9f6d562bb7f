"""Which variants a run has, and how long each takes without kernels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from axsim.compiler.partition import Deployment
from axsim.errors import InputError, Problem
from axsim.fidelity.intervals import expectations
from axsim.fidelity.prediction import Interval, Prediction
from axsim.fidelity.published import Published
from axsim.machine.npu import Npu
from axsim.runs.results import VariantResult
from axsim.spec.board import chip_at
from axsim.spec.chip import Chip
from axsim.spec.descriptor import NO_OVERRIDES, Overrides, override, split_overrides
from axsim.spec.workload import Workload, layered, load_workload
from axsim.system.alone import alone
from axsim.system.metrics import PREDICTED
from axsim.system.network_names import check_names
from axsim.system.request_timeline import RequestTimeline

if TYPE_CHECKING:
    from axsim.inputs.chat import Chat

Intervals = Callable[[Chip, str], "Interval | None"]
"""The interval of a metric's predictions on a chip, or None when nothing is known about it."""


class Chosen(NamedTuple):
    """A variant that is to run: its name, the keys that were set for it, what is deployed."""

    name: str
    settings: Mapping[str, object]
    deployment: Deployment


def chosen(
    workload: Workload | str | Path,
    chip: Chip | str | Path,
    variants: Sequence[str] | None = None,
    overrides: Overrides = NO_OVERRIDES,
    seed: int | None = None,
    chat: Chat | None = None,
) -> list[Chosen]:
    """The variants that a run with these arguments has.

    Raises:
        InputError: as :func:`axsim.run`.
    """
    if variants is not None and not variants:
        raise InputError(Problem("", "variants", "found none", "names, or null for all of them"))
    chip_keys, keys = split_overrides(overrides, "chip")
    on = chip_at(chip, chip_keys)
    found = _variants(workload, variants, keys, seed)
    if chat is not None:
        wanted = list(found.items())[: None if variants else 1]
        network = next((each for _, each in found.values() if each.model.onnx), None)
        if network is not None:
            what = f"{network.name} is a network from an ONNX file, which answers no question"
            raise InputError(f"{what}: --prompt is for language models")
        found = {name: (settings, chat.adapt(each)) for name, (settings, each) in wanted}
    return [Chosen(name, own, Deployment(each, on)) for name, (own, each) in found.items()]


def time_variant(
    name: str,
    settings: Mapping[str, object],
    deployment: Deployment,
    npu: Npu,
    published: Published | None = None,
    intervals: Intervals | None = None,
) -> VariantResult:
    """Time one variant: every subgraph of ``deployment`` on ``npu``, without kernels. Its later
    turns are timed as requests of their own, each after answers of full length.

    Raises:
        InputError: its build speaks of what its network does not have.
    """
    check_names(deployment)
    planned = alone(deployment, npu)
    predictions = _predict(deployment, planned, published, intervals)
    later = tuple(
        time_variant(f"{name}, turn {number}", settings, turn, npu, published, intervals)
        for number, turn in enumerate(deployment.turns[1:], 2)
    )
    return VariantResult(name, settings, deployment, planned, predictions, later=later)


def _variants(
    source: Workload | str | Path,
    names: Sequence[str] | None,
    keys: Mapping[str, object],
    seed: int | None,
) -> dict[str, tuple[dict[str, object], Workload]]:
    """The chosen variants by name, each with the keys that were set for it."""
    if seed is not None:
        keys = {**keys, "request.seed": seed}
    if names is not None and not isinstance(source, Workload):
        base = load_workload(source)
        own = {each.name: each.set for each in base.variants}
        return {
            name: (layered(own.get(name, {}), keys), load_workload(source, keys, name))
            for name in names
        }
    if isinstance(source, Workload):
        workload = override(source, keys) if keys else source
    else:
        workload = load_workload(source, keys)
    own = {each.name: each.set for each in workload.variants}
    expanded = workload.expand()
    chosen = {name: workload.variant(name) for name in names} if names is not None else expanded
    return {name: (layered(own.get(name, {}), keys), each) for name, each in chosen.items()}


def _predict(
    deployment: Deployment,
    planned: RequestTimeline,
    published: Published | None,
    intervals: Intervals | None,
) -> dict[str, Prediction]:
    """Every metric that the workload has."""
    found: dict[str, Prediction] = {}
    expected = expectations(deployment, planned)
    for metric in PREDICTED:
        value = metric.of(planned) if metric.of else None
        if value is None:
            continue
        measured = None
        if published and metric.in_ledger:
            measured = published.find(deployment, metric.name)
        interval, reason = None, ""
        if intervals is not None:
            interval = intervals(deployment.chip, metric.name)
        elif not metric.needs:
            interval, reason = expected(metric.name)
        found[metric.name] = Prediction(float(value), metric.unit, interval, measured, reason)
    return found
