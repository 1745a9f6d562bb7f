"""What the compiler hands to the machine: tasks on engines, in segments, in a program.

Engines run their tasks strictly in the order of the list. A segment starts and ends with a drained
machine; equal segments of a program are one object, so that the machine can time it once.
Durations are microseconds, sizes are bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

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

    ``ocm_peak_bytes`` is the most on-chip memory that its tensors take; ``ocm_bytes`` gives the
    residency while each step runs, for the report.
    """

    name: str
    steps: tuple[Step, ...]
    tasks: tuple[Task, ...]
    ocm_bytes: tuple[float, ...]


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
