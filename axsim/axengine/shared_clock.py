"""One clock for all threads of a script.

Scripts take this machine's time, what they ask for takes the chip's. The chip's clock goes on only
while every thread waits, for the chip or for something else: calls of several threads begin when
they would if all that scripts do between them took no time, in whatever order this machine comes
to it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from simpy import Environment, Process

from axsim.system.invocation import Steps

PATIENCE_S = 1.0
"""For a thread that keeps computing the clock stands still so long; then it goes on without it."""

_PAUSE_S = 1e-4, 2e-3  # between two looks at the other threads, at first and at most
_perf_counter = time.perf_counter  # of this machine, whatever scripts see

Signs = dict[int, tuple[int, int]]
"""Where threads wait: the frame and the instruction of each."""


class SharedClock:
    """The clock of ``env``, which nobody else may step."""

    def __init__(self, env: Environment) -> None:
        self._env = env
        self._moved = threading.Condition()
        self._waiting: dict[int, Process] = {}  # for the chip, by thread
        self._on_their_way: set[int] = set()  # threads that compute, or whose wait is over
        self._passed_over: set[int] = set()  # threads that were computing for too long
        self._active = 0.0  # when a thread last came, went, or was released; this machine's time

    @property
    def now_us(self) -> float:
        """Since the board was started."""
        return float(self._env.now)

    @contextmanager
    def standing(self) -> Iterator[None]:
        """The clock stands still during the block, but for what this thread waits for."""
        me = threading.get_ident()
        with self._moved:
            self._on_their_way.add(me)
        try:
            yield
        finally:
            with self._moved:
                self._on_their_way.discard(me)
                self._active = _perf_counter()

    def wait(self, steps: Steps) -> Any:
        """Begin something now and wait for its end on this clock. Returns what it does."""
        me = threading.get_ident()
        with self._moved:
            process = self._env.process(steps)
            process.callbacks.append(self._ended)
            self._waiting[me] = process
            self._on_their_way.discard(me)
            self._active = _perf_counter()
            try:
                self._wait_for(process)
            finally:
                self._waiting.pop(me, None)
                self._on_their_way.add(me)
        return process.value

    def _ended(self, process: Any) -> None:
        for thread, awaited in self._waiting.items():
            if awaited is process:
                del self._waiting[thread]
                self._on_their_way.add(thread)
                return

    def _wait_for(self, process: Process) -> None:
        pause, before = _PAUSE_S[0], self._others()
        while not process.processed:
            if before != {}:
                self._moved.wait(pause)
            if process.processed:
                return
            now = self._others()
            if now is not None and now == before:
                self._go_on()
                pause = _PAUSE_S[0]
            else:
                pause = min(2 * pause, _PAUSE_S[1])
            before = now

    def _go_on(self) -> None:
        """Let time pass until something ends that a thread waits for."""
        awaited = len(self._waiting)
        while len(self._waiting) == awaited:
            self._env.step()
        self._active = _perf_counter()
        self._moved.notify_all()

    def _others(self) -> Signs | None:
        """Where the threads are that do not wait for the chip; None when one of them has something
        to do. Two equal looks in a row say that all of them wait."""
        if self._on_their_way:
            return None
        signs: Signs = {}
        is_patient = _perf_counter() - self._active < PATIENCE_S
        frames = sys._current_frames()
        for thread in threading.enumerate():
            if thread.ident is None:  # it is being started
                return None
            frame = frames.get(thread.ident)
            if frame is None or thread.ident in self._waiting or thread.name.startswith("axsim"):
                continue
            if not _computes(thread):
                self._passed_over.discard(thread.ident)
            elif is_patient and thread.ident not in self._passed_over:
                return None
            else:
                self._passed_over.add(thread.ident)
                continue
            signs[thread.ident] = id(frame), frame.f_lasti
        return signs


def _computes(thread: threading.Thread) -> bool:
    """Whether the kernel says that a thread runs, or would if a core were free; no kernel but
    Linux is asked."""
    try:
        with open(f"/proc/self/task/{thread.native_id}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[0] in (b"R", b"D")
    except (OSError, IndexError):
        return False
