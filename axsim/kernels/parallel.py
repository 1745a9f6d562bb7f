"""Two or more cores for work that numpy does on one: elementwise passes over large arrays.

Every block is computed alike whatever thread takes it, so results do not depend on the number of
threads.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

from axsim.errors import InputError, Problem
from axsim.kernels.array import Array
from axsim.kernels.blas import one_blas_thread

BLOCK = 1 << 15
"""Elements of a block: 128 KB of float32, so that a few such arrays stay in a core's L2 cache."""

ALONE = 1 << 22
"""Multiply-accumulates up to which a thread works alone: waking another takes as long."""

_inside = threading.local()
"""``task`` is true on a thread that is working on one: its nested work must not wait for a pool
whose threads may be waiting likewise."""


def threads() -> int:
    """Threads to use: the environment variable AXSIM_THREADS, or the cores this process may use."""
    given = os.environ.get("AXSIM_THREADS")
    if given:
        if not (given.isascii() and given.isdecimal() and len(given) < 5):
            raise InputError(Problem("AXSIM_THREADS", "", f"found {given!r}", "a whole number"))
        return max(1, int(given))
    return _cores()


@lru_cache(maxsize=1)
def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def on_a_task() -> bool:
    """Whether this thread is working on a task of :func:`parallel`."""
    return getattr(_inside, "task", False)


@lru_cache(maxsize=1)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="axsim")


if hasattr(os, "register_at_fork"):  # a child process has none of the threads
    os.register_at_fork(after_in_child=_pool.cache_clear)
    os.register_at_fork(after_in_child=_cores.cache_clear)


def parallel(count: int, task: Callable[[int], None]) -> None:
    """Call ``task(0)`` to ``task(count - 1)``, on several threads when there are several tasks.

    ``task`` must write to disjoint memory; BLAS calls of it use its own thread only. Called from
    within a task, it runs on that task's thread alone. The first exception is raised again here.
    """
    if on_a_task():
        for i in range(count):
            task(i)
        return

    workers = min(threads(), count)
    numbers = itertools.count()  # next() is atomic: each thread takes the next task left

    def work() -> None:
        _inside.task = True
        try:
            while (i := next(numbers)) < count:
                task(i)
        finally:
            _inside.task = False

    with one_blas_thread():
        others = [_pool(workers - 1).submit(work) for _ in range(1, workers)]
        work()
        for other in others:
            other.result()


def divided(blocks: float, few: float, panels: int, workers: int) -> tuple[int, int]:
    """How many parts the rows of a product are, and for each how many its columns are.

    The rows fill so many ``blocks``; where that is fewer than ``few`` for each worker, it is the
    ``panels`` of columns that are shared.
    """
    if blocks >= 8 * workers:
        return 4 * workers, 1  # whoever is faster takes more
    return (1, min(workers, panels)) if blocks < few * workers else (workers, 1)


def for_rows(task: Callable[[slice], None], rows: int, block: int) -> None:
    """Call ``task`` on slices of at most about ``block`` rows, the same number for each thread."""
    workers = threads()
    count = max(1, -(-rows // (block * workers))) * workers
    step = -(-rows // count)
    parallel(-(-rows // step), lambda i: task(slice(i * step, min((i + 1) * step, rows))))


def in_row_blocks(task: Callable[[slice], None], rows: int, width: int) -> None:
    """Call ``task(rows)`` for slices of about :data:`BLOCK` elements that cover ``rows`` rows."""
    step = max(1, BLOCK // max(width, 1))

    def one(i: int) -> None:
        task(slice(i * step, (i + 1) * step))

    parallel(-(-rows // step), one)


def in_blocks(function: Callable[..., object], out: Array, *inputs: Array) -> Array:
    """Call ``function(out_block, *input_blocks)`` over the flat elements of contiguous arrays.

    The blocks (:data:`BLOCK` elements) keep the intermediate results of a long elementwise
    expression in the core's cache. All arrays must be C-contiguous and of one shape.
    Returns ``out``.
    """
    flat = [a.reshape(-1) for a in (out, *inputs)]
    size = flat[0].size

    def task(i: int) -> None:
        part = slice(i * BLOCK, (i + 1) * BLOCK)
        function(*(a[part] for a in flat))

    parallel(-(-size // BLOCK), task)
    return out
