"""Running a sweep: points go to an executor, finished ones to the journal, all of them to a table.

There is one path for one process, many processes and a cluster: :func:`compute`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axsim.chip import Chip
from axsim.descriptor import NO_OVERRIDES, Overrides
from axsim.errors import InputError
from axsim.sweeps.executors import cluster, local
from axsim.sweeps.grid import Point, grid
from axsim.sweeps.journal import Journal
from axsim.sweeps.point import Row, evaluate
from axsim.workload import Workload

if TYPE_CHECKING:
    import pandas as pd

OnProgress = Callable[[int, int], None]
"""Told how many points are finished, and of how many."""

IN_FLIGHT = 64
"""Points handed to the executor at a time: enough for every worker to find the next one there."""


def sweep(
    workload: Workload | str | Path,
    chip: Chip | str | Path | Sequence[Chip | str | Path],
    vary: Mapping[str, Sequence[Any]],
    *,
    variants: Sequence[str] | None = None,
    overrides: Overrides = NO_OVERRIDES,
    timing_only: bool = False,
    checkpoint: str | Path | None = None,
    jobs: int | None = None,
    executor: Executor | None = None,
    scheduler: str | None = None,
    journal: str | Path | None = None,
    on_progress: OnProgress | None = None,
) -> pd.DataFrame:
    """Every chip with every combination of the varied keys, as a DataFrame.

    ``vary`` maps dotted keys, those of the chip with the prefix ``chip.``, to their values. A point
    has one row for each variant of the workload that agrees with its keys, as ``axsim run`` has
    (``variants`` chooses among them), with the columns of :meth:`VariantResult.to_row`, the varied
    keys and ``error``: None, or why that point could not be computed. ``overrides`` hold at every
    point. ``timing_only`` leaves the kernels out.

    Points are computed on all local cores (``jobs`` processes), by any ``executor``, or by the
    dask ``scheduler`` at an address. Finished points are kept in the file ``journal`` if given;
    those that it already has are not computed again.

    >>> axsim.sweep("internvl2_1b", ["ax630c", "ax650n"], {"build.vision_dtype": ["u8", "u16"]},
    ...             timing_only=True)

    Raises:
        InputError: a descriptor is wrong, a key does not exist, the scheduler does not answer.
    """
    import pandas as pd

    chips = [chip] if isinstance(chip, Chip | str | Path) else list(chip)
    points = grid(
        workload,
        chips,
        vary,
        settings=overrides,
        variants=variants,
        timing_only=timing_only,
        checkpoint=checkpoint,
    )
    with ExitStack() as stack:
        kept = None if journal is None else stack.enter_context(Journal(Path(journal)))
        if executor is None:
            executor = stack.enter_context(pool(jobs, scheduler, len(points)))
        rows = table(compute(points, executor, kept, on_progress), list(vary))
    return pd.DataFrame(rows, columns=list(rows[0]))


def pool(jobs: int | None, scheduler: str | None, points: int) -> Any:
    """A context manager that gives an executor for so many points."""
    if scheduler is not None:
        return cluster(scheduler)
    if jobs is None and points == 1:
        jobs = 1
    return local(jobs)


def compute(
    points: Sequence[Point],
    executor: Executor,
    journal: Journal | None = None,
    on_progress: OnProgress | None = None,
) -> list[list[Row]]:
    """The rows of every point, in their order; what the journal has is taken from there.

    A point whose worker dies (out of memory) is a row with that error, unless the executor is lost
    with it: then BrokenExecutor is raised, and the journal holds what was finished.
    """
    keys = [point.key for point in points]
    known = {} if journal is None else journal.finished
    found = {key: known[key] for key in keys if key in known}
    missing = {key: p for key, p in zip(keys, points, strict=True) if key not in found}
    total = len(set(keys))
    waiting = iter(missing.items())
    running: dict[Future[list[Row]], str] = {}
    try:
        while True:
            if on_progress is not None:
                on_progress(len(found), total)
            for key, point in islice(waiting, IN_FLIGHT - len(running)):
                running[executor.submit(evaluate, point)] = key
                if all(future.done() for future in running):
                    break  # an executor that computes at once: its results come first
            if not running:
                break
            done = wait(running, return_when=FIRST_COMPLETED).done
            fresh = [(running.pop(future), future) for future in done]
            entries = [(key, _rows(missing[key], future)) for key, future in fresh]
            found.update(entries)
            if journal is not None:
                journal.add(entries)
    finally:
        for future in running:
            future.cancel()
    return [found[key] for key in keys]


def _rows(point: Point, future: Future[list[Row]]) -> list[Row]:
    """What a worker has sent, in JSON's types: a row is the same from the worker or the journal."""
    try:
        rows = future.result()
    except BrokenExecutor:
        raise
    except Exception as error:  # the worker, not the point: dask gives up after a few deaths
        given = {"chip": point.chip_name, **json.loads(point.settings)}
        rows = [{**given, "error": f"{type(error).__name__}: {error}"}]
    return json.loads(json.dumps(rows))  # type: ignore[no-any-return]


def table(points: Sequence[Sequence[Row]], varied: Sequence[str]) -> list[Row]:
    """One list of rows that all have the same columns: chip, varied keys, the rest, error."""
    rows = [row for point in points for row in point]
    if not rows:
        raise InputError("no variant agrees with the settings: there is nothing to show")
    columns = dict.fromkeys(["chip", "variant", *varied])
    for row in rows:
        columns.update(dict.fromkeys(row))
    columns.pop("error", None)
    return [{name: row.get(name) for name in (*columns, "error")} for row in rows]


def flat(rows: Sequence[Row]) -> Iterator[Row]:
    """Rows for a file: lists and mappings as JSON text."""
    for row in rows:
        yield {
            key: json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
            for key, value in row.items()
        }


def columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Columns of one type each, for Parquet: whole numbers beside fractions become fractions, and
    what is mixed otherwise becomes text."""
    found = {}
    for name in rows[0]:
        values = [row[name] for row in flat(rows)]
        kinds = {type(value) for value in values if value is not None}
        if kinds == {int, float}:
            values = [None if value is None else float(value) for value in values]
        elif len(kinds) > 1:
            values = [
                value if value is None or isinstance(value, str) else json.dumps(value)
                for value in values
            ]
        found[name] = values
    return found
