"""What the compiler hands to the machine: tasks on engines, in segments, in a program.

Engines run their tasks strictly in the order of the list. A segment starts and ends with a drained
machine; equal segments of a program are one object, so that the machine can time it once.
Durations are microseconds, sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from axsim.spec.power import MacType

Column: TypeAlias = Any
"""Numbers, one a task: a list, or a numpy array where compiled loops made it."""

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


class TaskArrays(NamedTuple):
    """Tasks as the compiled loop takes them: columns of :class:`Tiling`, and the tasks of each
    engine in order, engine i's from ``queue_begin[i]`` to ``queue_begin[i + 1]`` of ``queue``."""

    duration: NDArray[np.intp]
    dram_cost_bytes: NDArray[np.float64]
    dep_begin: NDArray[np.intp]
    deps: NDArray[np.intp]
    queue_begin: NDArray[np.intp]
    queue: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Tiling:
    """The tasks of a segment as columns, lists or numpy arrays; see :class:`Task`. Chips that
    differ in their rates share it.

    ``kind`` indexes :data:`KINDS`, ``duration`` the segment's durations. Task i depends on
    ``deps[dep_begin[i] : dep_begin[i + 1]]``.
    """

    engine: Column
    kind: Column
    step: Column
    duration: Column
    dram_bytes: Column
    dram_cost_bytes: Column
    dep_begin: Column
    deps: Column

    @classmethod
    def of(cls, tasks: Sequence[Task]) -> Tiling:
        """The columns of these tasks, each with a duration of its own."""
        return cls(
            [task.engine for task in tasks],
            [KINDS.index(task.kind) for task in tasks],
            [task.step for task in tasks],
            list(range(len(tasks))),
            [task.dram_bytes for task in tasks],
            [task.dram_cost_bytes for task in tasks],
            [0, *accumulate(len(task.deps) for task in tasks)],
            [needed for task in tasks for needed in task.deps],
        )

    def tasks(self, durations_us: Sequence[float]) -> tuple[Task, ...]:
        """The tasks, which take these times."""
        flat = _plain(self.deps)
        deps = [tuple(flat[start:stop]) for start, stop in pairwise(_plain(self.dep_begin))]
        kinds = [KINDS[kind] for kind in _plain(self.kind)]
        durations = [durations_us[index] for index in _plain(self.duration)]
        columns = _plain(self.engine), kinds, _plain(self.step), durations
        sizes = _plain(self.dram_bytes), _plain(self.dram_cost_bytes)
        return tuple(map(Task._make, zip(*columns, *sizes, deps, strict=True)))

    @cached_property
    def arrays(self) -> TaskArrays:
        """What decides when a task can start."""
        import numpy as np

        engine = np.asarray(self.engine, np.intp)
        ends = np.cumsum(np.bincount(engine), dtype=np.intp)
        return TaskArrays(
            np.asarray(self.duration, np.intp),
            np.asarray(self.dram_cost_bytes, np.float64),
            np.asarray(self.dep_begin, np.intp),
            np.asarray(self.deps, np.intp),
            np.concatenate((np.zeros(1, np.intp), ends)),
            np.argsort(engine, kind="stable"),
        )


def _plain(column: Column) -> Any:
    """A column as a list of Python's numbers."""
    return column if isinstance(column, list) else column.tolist()


@dataclass(frozen=True)
class Step:
    """One fused operator of a segment.

    ``operator`` is its class for reports (``projection``, ``attention matmul``, ``softmax``, …);
    ``label`` is the first computing node's name without the layer; ``mac_type`` tells what it
    multiplies.
    """

    label: str
    operator: str
    macs: int
    vector_ops: int
    mac_type: MacType | None = None


@dataclass(frozen=True, eq=False)
class Segment:
    """Tasks between two drained states of the machine.

    ``durations_us`` has the durations of its tasks, which ``tiling`` indexes; ``ocm_bytes`` gives
    the on-chip memory that tensors take while each step runs, for the report.
    """

    name: str
    steps: tuple[Step, ...]
    tiling: Tiling
    durations_us: Sequence[float]
    ocm_bytes: tuple[float, ...]

    @classmethod
    def of(
        cls, name: str, steps: tuple[Step, ...], tasks: Sequence[Task], ocm_bytes: tuple[float, ...]
    ) -> Segment:
        """A segment of these tasks."""
        durations = [task.duration_us for task in tasks]
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
