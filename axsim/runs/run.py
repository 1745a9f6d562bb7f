"""One run: every variant of a workload on a chip, first timed, then with its kernels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.fidelity.intervals import expectations
from axsim.fidelity.prediction import Interval, Prediction
from axsim.fidelity.published import Published, shipped_ledger_of
from axsim.machine.npu import Npu
from axsim.runs.results import RunResult, VariantResult
from axsim.runs.sources import SYNTHETIC, Sources
from axsim.spec.chip import Chip, load_chip
from axsim.spec.descriptor import NO_OVERRIDES, Overrides, override, split_overrides
from axsim.spec.workload import Workload, layered, load_workload
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
    text: str | Path | None = None,
    observer: str = "MinMax",
    calibrate_on: str | None = None,
    pictures: Sequence[str | Path] = (),
    intervals: Intervals | None = None,
    on_progress: OnProgress | None = None,
) -> RunResult:
    """Simulate a workload on a chip: what ``axsim run`` shows, as objects.

    ``workload`` and ``chip`` are shipped names, paths of YAML files, or loaded descriptors.
    ``variants`` chooses among the workload's; all by default. ``overrides`` replace dotted keys,
    those of the chip with the prefix ``chip.``. ``timing_only`` leaves the kernels out: the same
    timeline without numeric results. ``seed`` replaces ``request.seed``. Weights come from the
    folder ``checkpoint``, else they are synthetic. Of the pictures of the folder ``images`` some
    are compared with float32, and the ranges of quantised activations come from the others, as
    ``observer`` finds them (a name of :data:`~axsim.numerics.observers.OBSERVERS`). Without a
    folder both are seeded, which a checkpoint takes with ``calibrate_on="seeded"`` alone. A
    checkpoint's decoder is judged on the file ``text``, or on the page that comes with axsim. A
    network from an ONNX file is compared on the files ``pictures``.
    ``intervals`` gives the predictions' intervals; by default they follow from how well rows of the
    ledger are predicted that were left out of the fit.
    ``on_progress`` is told how far the kernels are.

    >>> result = axsim.run("internvl2_1b", chip="ax630c", timing_only=True)
    >>> result["448-u8"].ttft_ms.value

    Raises:
        InputError: a descriptor, key, variant or checkpoint is wrong, or a source of numbers is
            missing or has no effect.
    """
    sources = Sources.of(checkpoint, images, text, observer, calibrate_on, pictures)
    result = time_run(
        workload, chip, variants=variants, overrides=overrides, seed=seed, intervals=intervals
    )
    if timing_only:
        return result
    *_, last = run_kernels(result, sources, on_progress)
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
    """Time one variant: every subgraph of ``deployment`` on ``npu``, without kernels. Its later
    turns are timed as requests of their own, each after answers of full length."""
    planned = alone(deployment, npu)
    predictions = _predict(deployment, planned, published, intervals)
    later = tuple(
        time_variant(f"{name}, turn {number}", settings, turn, npu, published, intervals)
        for number, turn in enumerate(deployment.turns[1:], 2)
    )
    return VariantResult(name, settings, deployment, planned, predictions, later=later)


def run_kernels(
    timed: RunResult,
    sources: Sources = SYNTHETIC,
    on_progress: OnProgress | None = None,
    chat: Chat | None = None,
    on_token: OnToken | None = None,
) -> Iterator[RunResult]:
    """Run the kernels of variant after variant; each step yields the result so far.

    The first is the timed result itself, marked incomplete; the last has every variant's numerics.
    ``chat`` asks its question in place of seeded pixels and tokens; ``on_token`` is told each token
    of the answer as it is computed. ``sources`` say what weights, pictures and text are; without a
    folder of pictures the ranges are those of the question's own.

    Raises:
        InputError: the checkpoint is broken or of another architecture, or a source is missing or
            has no effect.
    """
    from dataclasses import replace

    from axsim.runs.numbers import Kernels

    result = replace(timed, timing_only=False, complete=False)
    yield result
    deployments = [variant.deployment for variant in timed]
    kernels = Kernels(deployments, sources, on_progress, chat, on_token)
    for index, variant in enumerate(timed):
        result = result.with_numerics(variant.name, kernels.run(variant.deployment))
        result = replace(result, complete=index + 1 == len(timed))
        yield result


def check_sources(timed: RunResult, sources: Sources, chat: Chat | None = None) -> None:
    """Find out before a long run that :func:`run_kernels` can't have its pictures or its text.

    Raises:
        InputError: as :func:`run_kernels`.
    """
    from axsim.runs.checks import check_deployments

    check_deployments([variant.deployment for variant in timed], sources, chat)


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
