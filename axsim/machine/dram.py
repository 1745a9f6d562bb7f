"""The DRAM interface: transfers in flight share its bandwidth evenly."""

from __future__ import annotations

import simpy


class Dram:
    """``bytes_per_us`` is shared by all open transfers in equal parts, at every moment."""

    def __init__(self, env: simpy.Environment, bytes_per_us: float) -> None:
        self._env = env
        self._rate = bytes_per_us
        self._open: dict[simpy.Event, float] = {}  # completion event: bytes left
        self._updated = 0.0
        self._timer: object = None

    def transfer(self, size: float) -> simpy.Event:
        """An event that succeeds when ``size`` bytes have crossed the interface."""
        self._progress()
        done = self._env.event()
        self._open[done] = size
        self._schedule()
        return done

    def _progress(self) -> None:
        """Bring the bytes left of every open transfer up to now."""
        elapsed = self._env.now - self._updated
        self._updated = self._env.now
        if elapsed and self._open:
            moved = elapsed * self._rate / len(self._open)
            for done in self._open:
                self._open[done] -= moved

    def _schedule(self) -> None:
        """Wake up when the smallest open transfer will be complete."""
        if not self._open:
            return
        wait = max(0.0, min(self._open.values())) * len(self._open) / self._rate
        timer = self._env.timeout(wait)
        self._timer = timer
        timer.callbacks.append(self._wake)

    def _wake(self, event: simpy.Event) -> None:
        if event is not self._timer:
            return  # another transfer started or ended meanwhile
        self._progress()
        least = min(self._open.values())
        complete = [done for done, left in self._open.items() if left <= max(least, 1e-6)]
        for done in complete:
            del self._open[done]
            done.succeed()
        self._schedule()
