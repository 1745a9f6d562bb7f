"""The event loop of one execution alone on the machine, compiled by numba.

The same events in the same order as in :class:`axsim.machine.events.Machine`, hence the same bits.
An engine does one thing at a time, so that what is going on fits into one entry for each engine.
"""

from __future__ import annotations

from math import inf
from typing import Any

import numpy as np
from numba import njit

from axsim.compiler.program import Segment
from axsim.machine.dram import SLACK_BYTES
from axsim.machine.timeline import Timing

_IDLE, _COMPUTING, _MOVING = 0, 1, 2
_compiled = njit(nogil=True, cache=True, error_model="numpy")
_inlined = njit(nogil=True, error_model="numpy", inline="always")


def time(segment: Segment, dram_bytes_per_us: float) -> Timing:
    """See :class:`axsim.machine.simulate.Simulator`."""
    tasks = len(segment.durations_us)
    start, end = np.empty(tasks), np.empty(tasks)
    arrays = segment.tiling.arrays
    last = _run(*arrays, segment.durations_us, dram_bytes_per_us, SLACK_BYTES, start, end)
    if last < 0:
        raise ValueError(f"tasks of segment {segment.name!r} wait for each other")
    return Timing(tuple(start.tolist()), tuple(end.tolist()), last)


@_inlined
def _progress(state: Any, left: Any, bytes_moved: Any, moving: Any) -> None:
    """Take every open transfer's share of the bytes from what is left of it."""
    if moving:
        share = bytes_moved / moving
        for engine in range(len(left)):
            if state[engine] == _MOVING:
                left[engine] -= share


@_inlined
def _least(state: Any, left: Any) -> Any:
    """Bytes left of the open transfer that has least."""
    least = inf
    for engine in range(len(left)):
        if state[engine] == _MOVING and left[engine] < least:
            least = left[engine]
    return least


@_compiled
def _run(
    cost: Any,
    dep_begin: Any,
    dep_flat: Any,
    queue_begin: Any,
    queue_flat: Any,
    duration: Any,
    rate: Any,
    slack: Any,
    start: Any,
    end: Any,
) -> Any:
    """Fills ``start`` and ``end``; when the last task ended, -1 when some wait for each other."""
    engines = len(queue_begin) - 1
    place = queue_begin[:-1].copy()  # of each engine's next task in queue_flat
    state = np.zeros(engines, np.int8)
    until = np.zeros(engines)  # when the task that is being computed ends
    left = np.zeros(engines)  # bytes of the open transfer
    waiting = np.full(len(end), -1)  # task: the last engine that waits for its end
    before = np.full(engines, -1)  # the engine that waits for the same, and came before
    free = np.arange(engines)
    freed, unfinished, moving = engines, len(end), 0
    now = updated = 0.0
    due = inf
    known = True  # due is right
    end[:] = inf
    while True:
        for place_of_engine in range(freed):
            engine = free[place_of_engine]
            if place[engine] == queue_begin[engine + 1]:
                continue
            task = queue_flat[place[engine]]
            blocked = False
            for position in range(dep_begin[task], dep_begin[task + 1]):
                needed = dep_flat[position]
                if end[needed] > now:
                    before[engine], waiting[needed] = waiting[needed], engine
                    blocked = True
                    break
            if blocked:
                continue
            start[task] = now
            if cost[task] != 0.0:
                if now > updated:
                    _progress(state, left, (now - updated) * rate, moving)
                    updated = now
                state[engine], left[engine] = _MOVING, cost[task]
                moving += 1
                known = False
            else:
                state[engine], until[engine] = _COMPUTING, now + duration[task]
        if not known:
            due = inf
            if moving:
                due = updated + max(0.0, _least(state, left)) * moving / rate
            known = True
        first = -1
        for engine in range(engines):
            if state[engine] == _COMPUTING and (
                first < 0
                or until[engine] < until[first]
                or (
                    until[engine] == until[first]
                    and queue_flat[place[engine]] < queue_flat[place[first]]
                )
            ):
                first = engine
        freed = 0
        if first >= 0 and until[first] < due:
            now = until[first]
            free[0], freed = first, 1
        elif due < inf:
            now = due
            if now > updated:
                _progress(state, left, (now - updated) * rate, moving)
                updated = now
            most = max(_least(state, left), slack)
            for engine in range(engines):
                if state[engine] == _MOVING and left[engine] <= most:
                    free[freed] = engine
                    freed += 1
            moving -= freed
            known = False
        else:
            break
        unfinished -= freed
        for ended in range(freed):
            engine = free[ended]
            task = queue_flat[place[engine]]
            end[task] = now
            state[engine] = _IDLE
            place[engine] += 1
            waiter = waiting[task]
            while waiter >= 0:
                free[freed] = waiter
                freed += 1
                waiter = before[waiter]
    return -1.0 if unfinished else now
