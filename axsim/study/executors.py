"""Where points are computed: this process, processes of this machine, or a dask cluster."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

from axsim.errors import InputError, Problem
from axsim.spec.located import show
from axsim.study.processes import Processes


class Here(Executor):
    """Computes in this process, when a task is submitted."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """A future that has its result."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def local(jobs: int | None = None) -> Executor:
    """``jobs`` processes, one for each usable core by default; this process for one job.

    Raises:
        InputError: that is no number of processes.
    """
    cores = usable_cores()
    if jobs is not None and (type(jobs) is not int or jobs < 1):
        raise InputError(Problem("", "jobs", f"found {show(jobs)}", "a whole number from 1 on"))
    jobs = jobs or cores
    return Here() if jobs == 1 else Processes(jobs, cores)


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def cluster(address: str) -> Iterator[Executor]:
    """The workers of a dask scheduler, such as ``tcp://host:8786``.

    Raises:
        InputError: distributed is not installed, or nobody answers at ``address``.
    """
    try:
        import distributed
    except ImportError:
        what = "needs distributed: pip install 'axsim[sweep]'"
        raise InputError(Problem("--scheduler", "", what)) from None
    untyped: Any = distributed
    try:
        client = untyped.Client(address, timeout="10s", set_as_default=False)
    except (OSError, TypeError, ValueError) as error:
        what = f"no dask scheduler answers at {address}: {error}"
        raise InputError(Problem("--scheduler", "", what)) from None
    with _silent("distributed"), client:  # a scheduler that dies is told once, by compute
        yield client.get_executor()


@contextmanager
def _silent(name: str) -> Iterator[None]:
    """A package's own handlers of log records show nothing."""
    handlers = logging.getLogger(name).handlers
    levels = [each.level for each in handlers]
    for each in handlers:
        each.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for each, level in zip(handlers, levels, strict=False):
            each.setLevel(level)
