"""Where points are computed: this process, processes of this machine, or a dask cluster."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from typing import Any

from axsim.errors import InputError, Problem


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
    """``jobs`` processes, one for each usable core by default; none for one job.

    The processes are spawned: a script that sweeps needs ``if __name__ == "__main__":``.
    """
    jobs = jobs or usable_cores()
    if jobs == 1:
        return Here()
    return ProcessPoolExecutor(jobs, get_context("spawn"), _prepare_worker)


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
    except (OSError, ValueError) as error:
        what = f"no dask scheduler answers at {address}: {error}"
        raise InputError(Problem("--scheduler", "", what)) from None
    with client:
        yield client.get_executor()


def _prepare_worker() -> None:
    """Ctrl-C, which a terminal sends to workers too, is the sweep's to handle: a worker that it
    stops between two points would leave the pool waiting. Workers of a killed sweep end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()


def _watch(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
