"""What the compiler hands to the machine: tasks on engines, in segments, in a program.

Engines run their tasks strictly in the order of the list. A segment starts and ends with a drained
machine; equal segments of a program are one object, so that the machine can time it once.
Durations are microseconds, sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, chain
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

EngineKind = Literal["conv", "teng", "sdma"]
TaskKind = Literal["compute", "ld:param", "ld:input", "ld:ddr_swap", "st:ddr_swap", "st:output"]
"""Task kinds of the vendor's traces: weights in, inputs in, spilled tiles in and out, outputs."""


class Engine(NamedTuple):
    """One queue of the NPU. ``name`` follows the vendor's traces (conv0, conv1, teng2, sdma4); an
    SDMA channel has a queue for reads and one for writes."""

    name: str
    kind: EngineKind
    group: int


class Task(NamedTuple):
    """A tile of work on one engine.

    ``step`` indexes the segment's steps. ``duration_us`` is the engine time of a compute task; a
    transfer takes as long as DRAM makes it. ``dram_bytes`` crosses the DRAM interface;
    ``dram_cost_bytes`` is the bandwidth share that it takes, larger when the access pattern is
    inefficient. ``deps`` are indices of tasks of this segment that must end before it starts.
    """

    engine: int
    kind: TaskKind
    step: int
    duration_us: float
    dram_bytes: float = 0.0
    dram_cost_bytes: float = 0.0
    deps: tuple[int, ...] = ()


class TaskArrays(NamedTuple):
    """Tasks as the compiled loop takes them: the ``dram_cost_bytes`` of each, and two lists of
    lists, of what each task depends on and of each engine's tasks in order; the i-th list of
    ``flat`` ends where the next begins, at ``begin[i + 1]``."""

    cost: NDArray[np.float64]
    dep_begin: NDArray[np.intp]
    dep_flat: NDArray[np.intp]
    queue_begin: NDArray[np.intp]
    queue_flat: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Tiling:
    """The tasks of a segment, all but how long they compute, as columns; see :class:`Task`. Chips
    that differ in their rates share it."""

    engine: Sequence[int]
    kind: Sequence[TaskKind]
    step: Sequence[int]
    dram_bytes: Sequence[float]
    dram_cost_bytes: Sequence[float]
    deps: Sequence[tuple[int, ...]]

    def tasks(self, durations_us: NDArray[np.float64]) -> tuple[Task, ...]:
        """The tasks with their durations."""
        columns = self.engine, self.kind, self.step, durations_us.tolist()
        rows = zip(*columns, self.dram_bytes, self.dram_cost_bytes, self.deps, strict=True)
        return tuple(map(Task._make, rows))

    @cached_property
    def arrays(self) -> TaskArrays:
        """The columns that decide when a task can start."""
        engine = np.array(self.engine, np.intp)
        cost = np.array(self.dram_cost_bytes, np.float64)
        dep_flat = np.array(list(chain.from_iterable(self.deps)), np.intp)
        queue_flat = np.argsort(engine, kind="stable")
        dep_begin, queue_begin = _begins(map(len, self.deps)), _begins(np.bincount(engine))
        return TaskArrays(cost, dep_begin, dep_flat, queue_begin, queue_flat)


def _begins(lengths: Iterable[int]) -> NDArray[np.intp]:
    """Where lists of these lengths begin when they stand one behind the other, and the end."""
    return np.array([0, *accumulate(lengths)], np.intp)


@dataclass(frozen=True)
class Step:
    """One fused operator of a segment.

    ``operator`` is its class for reports (``projection``, ``attention matmul``, ``softmax``, …);
    ``label`` is the first computing node's name without the layer.
    """

    label: str
    operator: str
    macs: int
    vector_ops: int


@dataclass(frozen=True, eq=False)
class Segment:
    """Tasks between two drained states of the machine.

    ``durations_us`` says how long each task of ``tiling`` computes, 0 for transfers;
    ``ocm_bytes`` gives the on-chip memory that tensors take while each step runs, for the report.
    """

    name: str
    steps: tuple[Step, ...]
    tiling: Tiling
    durations_us: NDArray[np.float64]
    ocm_bytes: tuple[float, ...]

    @classmethod
    def of(
        cls, name: str, steps: tuple[Step, ...], tasks: Sequence[Task], ocm_bytes: tuple[float, ...]
    ) -> Segment:
        """A segment of these tasks."""
        engine, kind, step, duration, *rest = zip(*tasks, strict=True) if tasks else ((),) * 7
        durations = np.array(duration, np.float64)
        return cls(name, steps, Tiling(engine, kind, step, *rest), durations, ocm_bytes)

    @cached_property
    def tasks(self) -> tuple[Task, ...]:
        """The tasks, in program order."""
        return self.tiling.tasks(self.durations_us)


@dataclass(frozen=True, eq=False)
class Program:
    """One subgraph compiled for one chip and NPU mode.

    ``segments`` in order of execution (equal ones repeat); ``nodes[i][j]`` are the graph nodes that
    step j of segment i executes. ``invocation_us`` is spent once at the start and end.
    ``weight_bytes`` is what the weights occupy in DRAM, ``activation_bytes`` the inputs, outputs
    and spilled tensors that need DRAM at the same time.
    """

    name: str
    engines: tuple[Engine, ...]
    dram_bytes_per_us: float
    segments: tuple[Segment, ...]
    nodes: tuple[tuple[tuple[str, ...], ...], ...]
    invocation_us: float
    weight_bytes: int
    activation_bytes: int
