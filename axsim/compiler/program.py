"""What the compiler hands to the machine: tasks on engines, in segments, in a program.

Engines run their tasks strictly in the order of the list. A segment starts and ends with a drained
machine; equal segments of a program are one object, so that the machine can time it once.
Durations are microseconds, sizes are bytes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

EngineKind = Literal["conv", "teng", "sdma"]
TaskKind = Literal["compute", "ld:param", "ld:input", "ld:ddr_swap", "st:ddr_swap", "st:output"]
"""Task kinds of the vendor's traces: weights in, inputs in, spilled tiles in and out, outputs."""
KINDS: tuple[TaskKind, ...] = get_args(TaskKind)


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


@dataclass(frozen=True, eq=False)
class Tiling:
    """The tasks of a segment, all but how long they compute, as columns; see :class:`Task`. Chips
    that differ in their rates share it.

    ``kind`` indexes :data:`KINDS`. Task i depends on
    ``deps[dep_begin[i] : dep_begin[i + 1]]``.
    """

    engine: NDArray[np.intp]
    kind: NDArray[np.intp]
    step: NDArray[np.intp]
    dram_bytes: NDArray[np.float64]
    dram_cost_bytes: NDArray[np.float64]
    dep_begin: NDArray[np.intp]
    deps: NDArray[np.intp]

    @classmethod
    def of(cls, tasks: Sequence[Task]) -> Tiling:
        """The columns of these tasks."""
        engine, kind, step, _, moved, cost, deps = zip(*tasks, strict=True) if tasks else ((),) * 7
        return cls(
            np.array(engine, np.intp),
            np.array([KINDS.index(each) for each in kind], np.intp),
            np.array(step, np.intp),
            np.array(moved, np.float64),
            np.array(cost, np.float64),
            _begins([len(each) for each in deps]),
            np.array([needed for each in deps for needed in each], np.intp),
        )

    def tasks(self, durations_us: NDArray[np.float64]) -> tuple[Task, ...]:
        """The tasks with their durations."""
        ends, flat = self.dep_begin.tolist(), self.deps.tolist()
        deps = [tuple(flat[start:stop]) for start, stop in itertools.pairwise(ends)]
        kinds = [KINDS[kind] for kind in self.kind.tolist()]
        columns = self.engine.tolist(), kinds, self.step.tolist(), durations_us.tolist()
        sizes = self.dram_bytes.tolist(), self.dram_cost_bytes.tolist()
        return tuple(map(Task._make, zip(*columns, *sizes, deps, strict=True)))

    @cached_property
    def queues(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """The tasks of each engine in order: where the list of each engine begins, the end of the
        last one, and all lists one behind the other."""
        return _begins(np.bincount(self.engine)), np.argsort(self.engine, kind="stable")


def _begins(lengths: ArrayLike) -> NDArray[np.intp]:
    """Where lists of these lengths begin when they stand one behind the other, and the end."""
    return np.concatenate(([0], np.cumsum(lengths, dtype=np.intp)))


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
        durations = np.array([task.duration_us for task in tasks], np.float64)
        return cls(name, steps, Tiling.of(tasks), durations, ocm_bytes)

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
