"""Reports from Python: run, gather, write."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from axsim.files import check_writable, whole_text
from axsim.runs.run import run
from axsim.runs.sources import SYNTHETIC, Sources
from axsim.show.report.content import Report, gather
from axsim.show.report.page import page
from axsim.spec.chip import Chip
from axsim.spec.descriptor import NO_OVERRIDES, Overrides
from axsim.spec.located import show
from axsim.spec.workload import Workload

if TYPE_CHECKING:
    from axsim.runs.progress import OnProgress


def report(
    workload: Workload | str | Path,
    chip: Chip | str | Path,
    path: str | Path = "report.html",
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
    on_progress: OnProgress | None = None,
) -> Report:
    """Simulate a workload on a chip, and write the result as one self-contained HTML page.

    The arguments are those of :func:`axsim.run`; ``path`` is the file to write. Returns what is on
    the page: ``.result`` is the run, ``.validation`` how well the chip's ledger is predicted.

    >>> axsim.report("internvl2_1b", "ax630c", "report.html", timing_only=True)

    Raises:
        InputError: as :func:`axsim.run`, or the file cannot be written.
    """
    check_writable(path)
    result = run(
        workload,
        chip,
        variants=variants,
        overrides=overrides,
        timing_only=timing_only,
        seed=seed,
        checkpoint=checkpoint,
        images=images,
        text=text,
        observer=observer,
        calibrate_on=calibrate_on,
        on_progress=on_progress,
    )
    keys = with_seed(overrides, seed)
    command = ""
    if not isinstance(workload, Workload) and not isinstance(chip, Chip):
        sources = Sources.of(checkpoint, images, text, observer, calibrate_on)
        command = command_line(workload, chip, variants or (), keys, timing_only, sources)
    found = gather(result, workload, chip, keys, command)
    write(found, path)
    return found


def write(found: Report, path: str | Path) -> None:
    """Write the page, whole or not at all; ``-`` is standard output.

    Raises:
        InputError: the file cannot be written.
    """
    with whole_text(path) as file:
        file.write(page(found))


def with_seed(
    overrides: Overrides, seed: int | None, key: str = "request.seed"
) -> dict[str, object]:
    """``overrides`` with the seed's ``key``, if a seed is given."""
    return dict(overrides) if seed is None else {**overrides, key: seed}


def command_line(
    workload: str | Path,
    chip: str | Path,
    variants: Sequence[str],
    overrides: Mapping[str, object],
    timing_only: bool = False,
    sources: Sources = SYNTHETIC,
    more: Sequence[str] = (),
) -> str:
    """The command that makes the same report, to be pasted into a shell; ``more`` are further
    words."""
    words = ["axsim", "report", str(workload), "--chip", str(chip)]
    for name in variants:
        words += ["--variant", name]
    for key, value in overrides.items():
        words += ["--set", f"{key}={value if isinstance(value, str) else show(value)}"]
    words += [*sources.options, *more]
    return shlex.join([*words, *(["--timing-only"] if timing_only else [])])
