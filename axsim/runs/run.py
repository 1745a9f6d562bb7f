"""One run: every variant of a workload on a chip, first timed, then with its kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.fidelity.intervals import expected
from axsim.fidelity.prediction import Interval, Prediction
from axsim.fidelity.published import Published, shipped_ledger_of
from axsim.machine.npu import Npu
from axsim.runs.results import RunResult, VariantResult
from axsim.spec.chip import Chip, load_chip
from axsim.spec.descriptor import NO_OVERRIDES, Overrides, override, split_overrides
from axsim.spec.workload import Workload, load_workload
from axsim.system.alone import alone
from axsim.system.metrics import PREDICTED
from axsim.system.request_timeline import RequestTimeline

if TYPE_CHECKING:
    from axsim.inputs.chat import Chat
    from axsim.runs.numbers import OnToken
    from axsim.runs.progress import OnProgress

Intervals = Callable[[Chip, str], "Interval | None"]
"""The interval of a metric's predictions on a chip, or None when nothing is known about it."""


def run(
    workload: Workload | str | Path,
    chip: Chip | str | Path,
    *,
    variants: Sequence[str] | None = None,
    overrides: Overrides = NO_OVERRIDES,
    timing_only: bool = False,
    seed: int | None = None,
    checkpoint: str | Path | None = None,
    images: str | Path | None = None,
    pictures: Sequence[str | Path] = (),
    intervals: Intervals | None = None,
    on_progress: OnProgress | None = None,
) -> RunResult:
    """Simulate a workload on a chip: what ``axsim run`` shows, as objects.

    ``workload`` and ``chip`` are shipped names, paths of YAML files, or loaded descriptors.
    ``variants`` chooses among the workload's; all by default. ``overrides`` replace dotted keys,
    those of the chip with the prefix ``chip.``. ``timing_only`` leaves the kernels out: the same
    timeline without numeric results. ``seed`` replaces ``request.seed``. Weights come from the
    folder ``checkpoint``, else they are synthetic. The ranges of quantised activations come from
    the pictures of the folder ``images``, else from a seeded one. ``pictures`` are what a network
    from an ONNX file is run on, in place of a seeded input. ``intervals`` gives the predictions'
    intervals; by default they follow from how well rows of the ledger are predicted
    that were left out of the fit.
    ``on_progress`` is told how far the kernels are.

    >>> result = axsim.run("internvl2_1b", chip="ax630c", timing_only=True)
    >>> result["448-u8"].ttft_ms.value

    Raises:
        InputError: a descriptor, key, variant or checkpoint is wrong.
    """
    result = time_run(
        workload, chip, variants=variants, overrides=overrides, seed=seed, intervals=intervals
    )
    if timing_only:
        return result
    *_, last = run_kernels(result, checkpoint, on_progress, images=images, pictures=pictures)
    return last


def time_run(
    workload: Workload | str | Path,
    chip: Chip | str | Path,
    *,
    variants: Sequence[str] | None = None,
    overrides: Overrides = NO_OVERRIDES,
    seed: int | None = None,
    intervals: Intervals | None = None,
    chat: Chat | None = None,
) -> RunResult:
    """:func:`run` without the kernels. With ``chat``, the request is its question, and without
    ``variants`` only the first one answers."""
    chip_keys, keys = split_overrides(overrides, "chip")
    if isinstance(chip, Chip):
        chip = override(chip, chip_keys) if chip_keys else chip
    else:
        chip = load_chip(chip, chip_keys)
    chosen = _variants(workload, variants, keys, seed)
    if chat is not None:
        wanted = list(chosen.items())[: None if variants else 1]
        network = next((each for _, each in chosen.values() if each.model.onnx), None)
        if network is not None:
            what = f"{network.name} is a network from an ONNX file, which answers no question"
            raise InputError(f"{what}: --prompt is for language models")
        chosen = {name: (settings, chat.adapt(each)) for name, (settings, each) in wanted}
    published = shipped_ledger_of(chip)
    npu = Npu()
    results = []
    for name, (settings, variant) in chosen.items():
        deployment = Deployment(variant, chip)
        results.append(time_variant(name, settings, deployment, npu, published, intervals))
    title = next(iter(chosen.values()))[1].name
    return RunResult(title, chip.name, tuple(results), timing_only=True)


def time_variant(
    name: str,
    settings: Mapping[str, object],
    deployment: Deployment,
    npu: Npu,
    published: Published | None = None,
    intervals: Intervals | None = None,
) -> VariantResult:
    """Time one variant: every subgraph of ``deployment`` on ``npu``, without kernels."""
    planned = alone(deployment, npu)
    predictions = _predict(deployment, planned, published, intervals)
    return VariantResult(name, settings, deployment, planned, predictions)


def run_kernels(
    timed: RunResult,
    checkpoint: str | Path | None = None,
    on_progress: OnProgress | None = None,
    chat: Chat | None = None,
    on_token: OnToken | None = None,
    images: str | Path | None = None,
    pictures: Sequence[str | Path] = (),
) -> Iterator[RunResult]:
    """Run the kernels of variant after variant; each step yields the result so far.

    The first is the timed result itself, marked incomplete; the last has every variant's numerics.
    ``chat`` asks its question in place of seeded pixels and tokens; ``on_token`` is told each token
    of the answer as it is computed. Ranges are calibrated on the pictures of the folder ``images``;
    without one on the picture of the question, or on a seeded one. ``pictures`` are files that a
    network from an ONNX file is compared on.

    Raises:
        InputError: the checkpoint is broken or of another architecture, or ``images`` has no
            pictures or nothing to calibrate.
    """
    from dataclasses import replace

    from axsim.runs.numbers import Kernels

    result = replace(timed, timing_only=False, complete=False)
    yield result
    deployments = [variant.deployment for variant in timed]
    files = [Path(each) for each in pictures]
    kernels = Kernels(deployments, checkpoint, on_progress, chat, on_token, images, files)
    for index, variant in enumerate(timed):
        numerics, served = kernels.run(variant.deployment)
        result = result.with_numerics(variant.name, numerics, served)
        result = replace(result, complete=index + 1 == len(timed))
        yield result


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
            name: ({**own.get(name, {}), **keys}, load_workload(source, keys, name))
            for name in names
        }
    if isinstance(source, Workload):
        workload = override(source, keys) if keys else source
    else:
        workload = load_workload(source, keys)
    own = {each.name: each.set for each in workload.variants}
    expanded = workload.expand()
    chosen = {name: workload.variant(name) for name in names} if names is not None else expanded
    return {name: ({**own.get(name, {}), **keys}, each) for name, each in chosen.items()}


def _predict(
    deployment: Deployment,
    planned: RequestTimeline,
    published: Published | None,
    intervals: Intervals | None,
) -> dict[str, Prediction]:
    """Every metric that the workload has."""
    found: dict[str, Prediction] = {}
    for metric in PREDICTED:
        value = metric.of(planned) if metric.of else None
        if value is None:
            continue
        measured = None
        if published and metric.in_ledger:
            measured = published.find(deployment, metric.name)
        interval, reason = (
            expected(deployment, metric.name, planned)
            if intervals is None
            else (intervals(deployment.chip, metric.name), "")
        )
        found[metric.name] = Prediction(float(value), metric.unit, interval, measured, reason)
    return found
