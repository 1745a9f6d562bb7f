"""Running a sweep: points go to an executor, finished ones to the journal, all of them to a table.

There is one path for one process, many processes and a cluster: :func:`compute`.
"""

from __future__ import annotations

import json
import warnings
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axsim.errors import InputError
from axsim.runs.no_effect import without_effect, words
from axsim.runs.shared_no_effect import idle_keys
from axsim.runs.sources import Sources
from axsim.spec.board import Board, chip_at
from axsim.spec.chip import Chip
from axsim.spec.descriptor import NO_OVERRIDES, Overrides, split_overrides
from axsim.spec.kinds import load_either
from axsim.spec.scenario import Scenario
from axsim.spec.workload import Workload
from axsim.study.executors import cluster, local
from axsim.study.grid import Point, grid, places_of
from axsim.study.journal import Journal
from axsim.study.point import Row, evaluate_all

if TYPE_CHECKING:
    import pandas as pd

OnProgress = Callable[[int, int], None]
"""Told how many points are finished, and of how many."""

Batch = tuple[str, ...]
"""Keys of points that a worker computes one after the other."""

BATCH = 32
"""Points of a batch at most: what a kill can cost each worker, up to a second."""

BATCHES = 16
"""Batches of a sweep at least, so that every worker has its share to the end."""

IN_FLIGHT = 64
"""Batches handed to the executor at a time: enough for every worker to find the next one there."""


def sweep(
    workload: Workload | Scenario | str | Path,
    chip: Chip | Board | str | Path | Sequence[Chip | Board | str | Path] | None,
    vary: Mapping[str, Sequence[Any]],
    *,
    variants: Sequence[str] | None = None,
    overrides: Overrides = NO_OVERRIDES,
    timing_only: bool = False,
    checkpoint: str | Path | None = None,
    images: str | Path | None = None,
    text: str | Path | None = None,
    observer: str = "MinMax",
    calibrate_on: str | None = None,
    jobs: int | None = None,
    executor: Executor | None = None,
    scheduler: str | None = None,
    journal: str | Path | None = None,
    on_progress: OnProgress | None = None,
) -> pd.DataFrame:
    """Every chip with every combination of the varied keys, as a DataFrame.

    Of a scenario a point has one row with the columns of :meth:`ScenarioResult.to_row`; its own
    chip is taken where ``chip`` is None.

    ``vary`` maps dotted keys, those of the chip with the prefix ``chip.``, to their values. A point
    has one row for each variant of the workload (``variants`` chooses among them), in which varied
    keys replace what it sets; those that become the same are there once. Its columns are those of
    :meth:`VariantResult.to_row`, the varied keys and ``error``: None, or why that point could not
    be computed. ``overrides`` (``--set`` on the command line) hold at every point; a key, set or
    varied, that has no effect is warned of. ``timing_only`` leaves the kernels out.
    ``checkpoint``, ``images``, ``text``, ``observer`` and ``calibrate_on`` are those of
    :func:`axsim.run`.

    Points are computed on all local cores (``jobs`` processes), by any ``executor``, or by the
    dask ``scheduler`` at an address. Finished points are kept in the file ``journal`` if given;
    those that it already has are not computed again.

    >>> axsim.sweep("internvl2_1b", ["ax630c", "ax650n"], {"build.vision_dtype": ["u8", "u16"]},
    ...             timing_only=True)

    Raises:
        InputError: a descriptor is wrong, a key does not exist, the scheduler does not answer.
        BrokenExecutor: the scheduler died; ``journal`` has what was finished.
    """
    import pandas as pd

    if not isinstance(workload, Workload | Scenario):
        workload = load_either(workload)
    chips = places_of(workload, chip)
    points = grid(
        workload,
        chips,
        vary,
        settings=overrides,
        variants=variants,
        timing_only=timing_only,
        sources=Sources.of(checkpoint, images, text, observer, calibrate_on),
    )
    with ExitStack() as stack:
        kept = None if journal is None else stack.enter_context(Journal(Path(journal)))
        if executor is None:
            executor = stack.enter_context(pool(jobs, scheduler, len(points)))
        rows = table(compute(points, executor, kept, on_progress), list(vary))
    if isinstance(workload, Scenario):
        idle = idle_keys(workload, chips, overrides, vary=vary)
    else:
        cases = [(workload, chip_at(each)) for each in chips]
        idle = without_effect(cases, overrides, vary=vary, variants=variants)
    for line in words(idle, overrides):
        warnings.warn(line, stacklevel=2)
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

    A batch whose worker dies (out of memory) is tried again point by point; a point whose worker
    dies is a row with that error. Should the executor itself be lost, BrokenExecutor is raised, and
    the journal holds what was finished.
    """
    keys = [point.key for point in points]
    known = {} if journal is None else journal.finished
    found = {key: known[key] for key in keys if key in known}
    missing = {key: p for key, p in zip(keys, points, strict=True) if key not in found}
    total = len(set(keys))
    waiting = deque(_batches(missing))
    running: dict[Future[list[list[Row]]], Batch] = {}
    try:
        while True:
            if on_progress is not None:
                on_progress(len(found), total)
            while waiting and len(running) < IN_FLIGHT:
                batch = waiting.popleft()
                running[executor.submit(evaluate_all, [missing[key] for key in batch])] = batch
                if all(future.done() for future in running):
                    break  # an executor that computes at once: its results come first
            if not running:
                break
            fresh: dict[str, list[Row]] = {}
            done = wait(running, return_when=FIRST_COMPLETED).done
            gone = [why for why in map(_gone, done) if why is not None]
            for future in done:
                batch = running.pop(future)
                if _gone(future) is not None:
                    continue
                if len(batch) > 1 and future.exception() is not None:
                    waiting.extendleft((key,) for key in reversed(batch))  # which one was it?
                else:
                    fresh |= _rows({key: missing[key] for key in batch}, future)
            found.update(fresh)
            if journal is not None:
                journal.add(fresh.items())
            if gone:
                raise gone[0]
    finally:
        for future in running:
            future.cancel()
    return [found[key] for key in keys]


def _batches(missing: Mapping[str, Point]) -> list[Batch]:
    """What goes to a worker at a time: a few points, those of one chip setting one after the other,
    which share what is made for that; with kernels a single point."""
    together: dict[object, list[str]] = {}
    for key, point in missing.items():
        chip_keys, _ = split_overrides(json.loads(point.settings), "chip")
        together.setdefault((point.chip, json.dumps(chip_keys)), []).append(key)
    keys = list(chain.from_iterable(together.values()))
    size = max(1, min(BATCH, len(keys) // BATCHES))
    if not all(point.timing_only for point in missing.values()):
        size = 1
    return [tuple(keys[start : start + size]) for start in range(0, len(keys), size)]


def _gone(future: Future[Any]) -> BrokenExecutor | None:
    """Why the executor itself is lost, if it is: nobody else cancels what it was given."""
    if future.cancelled():
        return BrokenExecutor("the dask scheduler is gone")
    error = future.exception()
    return error if isinstance(error, BrokenExecutor) else None


def _rows(batch: Mapping[str, Point], future: Future[list[list[Row]]]) -> dict[str, list[Row]]:
    """What a worker has sent, in JSON's types: a row is the same from the worker or the journal."""
    try:
        rows = future.result()
    except Exception as error:  # the worker, not the point: dask gives up after a few deaths
        text = f"{type(error).__name__}: {error}"
        rows = [
            [{"chip": point.chip_name, **json.loads(point.settings), "error": text}]
            for point in batch.values()
        ]
    return dict(zip(batch, json.loads(json.dumps(rows)), strict=True))


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
