"""Searching a space that is too large to compute whole, with optuna (the ``search`` extra).

Points are proposed in batches by a tree-structured Parzen estimator, computed as those of a sweep
are, and its next proposals learn from them. The proposals depend on the seed and the results alone,
not on the number of processes, so that a search that was interrupted repeats its way from the
journal.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from axsim.errors import InputError, Problem
from axsim.runs.sources import Sources
from axsim.spec.board import Board
from axsim.spec.chip import Chip
from axsim.spec.descriptor import NO_OVERRIDES, Overrides
from axsim.spec.kinds import load_either
from axsim.spec.scenario import Scenario
from axsim.spec.workload import Workload
from axsim.study.columns import columns_of
from axsim.study.grid import Point, Space, places_of, space
from axsim.study.journal import Journal
from axsim.study.objective import Goal
from axsim.study.point import Row
from axsim.study.sweep import OnProgress, compute, pool, table

if TYPE_CHECKING:
    import pandas as pd

Compute = Callable[[Sequence[Point]], "list[list[Row]]"]
Place = tuple[int, ...]

BATCH = 8
"""Points proposed at a time; the same for any number of processes."""

INFEASIBLE = 1e15
"""Loss of points that miss the constraints, more than any column has. The estimator only looks at
the order of losses: any feasible point is better, and of two others the one that misses less."""


def search(
    workload: Workload | Scenario | str | Path,
    chip: Chip | Board | str | Path | Sequence[Chip | Board | str | Path] | None,
    vary: Mapping[str, Sequence[Any]],
    objective: str | Sequence[str],
    constraint: str | Sequence[str] = (),
    *,
    trials: int = 100,
    seed: int = 0,
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
    """Compute ``trials`` points of a space, chosen to come near the best: the rows of
    :func:`axsim.sweep`, in the order in which they were tried.

    ``objective`` and ``constraint`` are texts as :func:`axsim.best` takes them, which finds the
    best of the rows; with several objectives the search spreads over their Pareto front. A space of
    no more than ``trials`` points is computed whole. Equal arguments try equal points. The other
    arguments are those of :func:`axsim.sweep`.

    >>> frame = axsim.search("internvl2_1b", "ax630c", {"build.prefill_chunk": range(32, 513, 16),
    ...                      "build.kv_cache_len": [511, 1023, 2047]}, "ttft_ms", timing_only=True)
    >>> axsim.best(frame, "ttft_ms").head(3)

    Raises:
        InputError: as :func:`axsim.sweep`; an objective or a constraint is wrong; optuna is not
            installed.
    """
    import pandas as pd

    if not isinstance(workload, Workload | Scenario):
        workload = load_either(workload)
    where = space(
        workload,
        places_of(workload, chip),
        vary,
        settings=overrides,
        variants=variants,
        timing_only=timing_only,
        sources=Sources.of(checkpoint, images, text, observer, calibrate_on),
    )
    goal = Goal.parse(objective, constraint)
    goal.check(columns_of(workload, where), timing_only, checkpoint is not None)
    with ExitStack() as stack:
        kept = None if journal is None else stack.enter_context(Journal(Path(journal)))
        if executor is None:
            executor = stack.enter_context(pool(jobs, scheduler, min(trials, len(where))))
        workers = executor

        def run(points: Sequence[Point]) -> list[list[Row]]:
            return compute(points, workers, kept)

        rows = table(explore(where, goal, trials, seed, run, on_progress), list(vary))
    return pd.DataFrame(rows, columns=list(rows[0]))


def explore(
    where: Space,
    goal: Goal,
    trials: int,
    seed: int,
    run: Compute,
    on_progress: OnProgress | None = None,
) -> list[list[Row]]:
    """The rows of ``trials`` different points of a space, in the order in which they were tried.

    Raises:
        InputError: optuna is not installed.
    """
    check_optimizer()
    if len(where) <= trials:
        trials = len(where)
    known: dict[Place, list[Row]] = {}
    random = Random(seed)
    with _study(goal, seed) as study:
        while len(known) < trials:
            if on_progress is not None:
                on_progress(len(known), trials)
            asked = [study.ask() for _ in range(min(BATCH, trials - len(known)))]
            places = [_place(trial, where) for trial in asked]
            fresh = [place for place in dict.fromkeys(places) if place not in known]
            if not fresh:  # the estimator is sure of itself: its next batch is at random
                for place in _unseen(where, known, random, len(asked)):
                    study.enqueue_trial(dict(zip(["chip", *where.vary], place, strict=True)))
            known |= zip(fresh, run([where.point(place) for place in fresh]), strict=True)
            for trial, place in zip(asked, places, strict=True):
                study.tell(trial, losses(known[place], goal))
    if on_progress is not None:
        on_progress(trials, trials)
    return list(known.values())


def losses(rows: Sequence[Row], goal: Goal) -> list[float]:
    """A point's losses, one for each objective: those of its best variant, or more than any
    feasible point's."""
    leaders = goal.leaders(rows)
    if leaders:
        return [goal.loss(leaders[0], each) for each in goal.objectives]
    missed = [
        sum(each.violation(row) for each in goal.constraints)
        for row in rows
        if not isinstance(row.get("error"), str)
    ]
    loss = INFEASIBLE * (1 + min(missed, default=1e6))
    return [loss] * len(goal.objectives)


def check_optimizer() -> None:
    """Find out before anything is computed that there is no optimizer.

    Raises:
        InputError: optuna is not installed.
    """
    try:
        import optuna  # noqa: F401
    except ImportError:
        what = "needs optuna: pip install 'axsim[search]'"
        raise InputError(Problem("--optimizer", "", what)) from None


@contextmanager
def _study(goal: Goal, seed: int) -> Iterator[Any]:
    """A study in memory that says nothing."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(seed=seed, constant_liar=True)
            yield optuna.create_study(
                directions=["minimize"] * len(goal.objectives), sampler=sampler
            )
    finally:
        optuna.logging.set_verbosity(level)


def _place(trial: Any, where: Space) -> Place:
    """What a trial proposes: the position of the chip, and of each varied key's value. Numbers in
    order are a scale to the estimator; everything else are names."""
    found = [_choose(trial, "chip", len(where.chips), ordered=False)]
    for key, values in where.vary.items():
        numbers = all(isinstance(each, int | float) for each in values)
        ordered = numbers and list(values) == sorted(values)
        found.append(_choose(trial, key, len(values), ordered))
    return tuple(found)


def _choose(trial: Any, name: str, count: int, ordered: bool) -> int:
    if ordered:
        return int(trial.suggest_int(name, 0, count - 1))
    return int(trial.suggest_categorical(name, list(range(count))))


def _unseen(where: Space, known: Mapping[Place, object], random: Random, count: int) -> list[Place]:
    """Some points that were not tried yet, at random."""
    sizes = [len(where.chips), *map(len, where.vary.values())]
    found: dict[Place, None] = {}
    while len(found) < min(count, len(where) - len(known)):
        place = tuple(random.randrange(size) for size in sizes)
        if place not in known:
            found[place] = None
    return list(found)
