"""One run: every variant of a workload on a chip, first timed, then with its kernels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from axsim.fidelity.published import shipped_ledger_of
from axsim.machine.npu import Npu
from axsim.runs.results import RunResult
from axsim.runs.sources import SYNTHETIC, Sources
from axsim.runs.timed import Intervals, chosen, time_variant
from axsim.spec.chip import Chip
from axsim.spec.descriptor import NO_OVERRIDES, Overrides
from axsim.spec.workload import Workload

if TYPE_CHECKING:
    from axsim.inputs.chat import Chat
    from axsim.runs.numbers import OnToken
    from axsim.runs.progress import OnProgress


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
    ``variants`` chooses among the workload's; all by default. ``overrides`` are what ``--set`` is
    on the command line: they replace dotted keys, those of the chip with the prefix ``chip.``; one
    that has no effect is warned of. ``timing_only`` leaves the kernels out: the same
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
    if overrides:
        from axsim.runs.no_effect import without_effect, words

        idle = without_effect([(workload, chip)], overrides, variants=variants, seed=seed)
        for line in words(idle, overrides):
            warnings.warn(line, stacklevel=2)
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
    found = chosen(workload, chip, variants, overrides, seed, chat)
    first = found[0].deployment
    published = shipped_ledger_of(first.chip)
    npu = Npu()
    results = [time_variant(*each, npu, published, intervals) for each in found]
    return RunResult(first.workload.name, first.chip.name, tuple(results), timing_only=True)


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
