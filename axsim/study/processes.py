"""Processes of this machine that may die: each has one task at a time, and is replaced."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from functools import partial
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait as wait_for
from queue import SimpleQueue
from typing import Any

ATTEMPTS = 2
"""Processes that a task may cost."""

THREAD_LIMITS = ("AXSIM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Environment variables that say how many threads the kernels of a process use."""

Task = tuple["Future[Any]", Callable[[], Any]]


class WorkerDied(RuntimeError):
    """The process that worked on a task was killed, and so was the next one that tried."""


class Processes(Executor):
    """``count`` processes, spawned: the script needs ``if __name__ == "__main__":``.

    A process that is killed costs nothing but its own task, which a new one tries once more before
    the task's future raises WorkerDied. Where a process does not even start, futures raise
    BrokenExecutor. Left by an exception, the ``with`` block ends the processes at once.
    """

    def __init__(self, count: int, cores: int) -> None:
        self._tasks: SimpleQueue[Task | None] = SimpleQueue()
        threads = max(1, cores // count)
        self._keepers = [_Keeper(self._tasks, threads) for _ in range(count)]
        for keeper in self._keepers:
            keeper.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """A future of the call; tasks begin in the order of submission."""
        future: Future[Any] = Future()
        self._tasks.put((future, partial(fn, *args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes: after all tasks, or with ``cancel_futures`` after those that run."""
        if cancel_futures:
            for keeper in self._keepers:
                keeper.stopping = True
        for _ in self._keepers:
            self._tasks.put(None)
        if wait:
            for keeper in self._keepers:
                keeper.join()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for keeper in self._keepers if kind is not None else ():
            keeper.stop()
        self.shutdown()


class _Keeper(threading.Thread):
    """Hands tasks to a process of its own."""

    def __init__(self, tasks: SimpleQueue[Task | None], threads: int) -> None:
        super().__init__(daemon=True)
        self.stopping = False
        self._tasks = tasks
        self._threads = threads
        self._pool: ProcessPoolExecutor | None = None
        self._pid: int | None = None

    def run(self) -> None:
        """Until there are no more tasks."""
        if hasattr(signal, "pthread_sigmask"):  # what this thread starts is born deaf to Ctrl-C
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        while (task := self._tasks.get()) is not None:
            future, call = task
            if self.stopping:
                future.cancel()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(self._compute(call))
                except BaseException as error:
                    future.set_exception(error)
        self._end()

    def stop(self) -> None:
        """Kill the process; tasks that wait are cancelled."""
        self.stopping = True
        if self._pid is not None:
            with suppress(OSError):
                os.kill(self._pid, signal.SIGTERM)

    def _compute(self, call: Callable[[], Any]) -> Any:
        for _ in range(ATTEMPTS):
            pool = self._pool or self._start()
            try:
                return pool.submit(call).result()
            except BrokenProcessPool:
                self._end()
                if self.stopping:
                    raise
        raise WorkerDied(f"its process was killed {ATTEMPTS} times; is there too little memory?")

    def _start(self) -> ProcessPoolExecutor:
        pool = ProcessPoolExecutor(1, get_context("spawn"), _prepare, (self._threads,))
        try:
            self._pid = pool.submit(os.getpid).result()
        except (RuntimeError, OSError) as error:
            pool.shutdown()
            why = "no process could be started; does the script have `if __name__ == '__main__':`?"
            raise BrokenExecutor(why) from error
        self._pool = pool
        if self.stopping:
            self.stop()
        return pool

    def _end(self) -> None:
        self._pid = None
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None


def _prepare(threads: int) -> None:
    """In a new process. Ctrl-C, which a terminal sends to workers too, is the parent's to handle;
    workers of a killed parent end with it; kernels leave the other processes their cores."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        threading.Thread(target=_watch, args=(parent.sentinel,), daemon=True).start()
    for name in THREAD_LIMITS:
        given = os.environ.get(name, "")
        if not given.isdecimal() or int(given) > threads:
            os.environ[name] = str(threads)
    if "numpy" in sys.modules:  # the user's script has imported it: too late for variables
        from axsim.kernels.blas import limit_blas_threads

        limit_blas_threads(threads)


def _watch(sentinel: int) -> None:
    wait_for([sentinel])
    os._exit(1)
