"""How many timing-only points of InternVL2-1B a sweep computes, and how that grows with workers.

    python benchmarks/sweep.py [--points 160] [--workers 2] [--skip pool] [--json FILE]

A point is one chip setting with one variant of the workload, a row of the table. The first figure
is points per second of processor time in one process, once that has seen both chips and every
variant and has loaded what numba compiled (warm). The second is wall time on 1 to N processes, also
warm: points per second of all of them, and the share of N times one process's that is left. Grids
whose every point has a chip setting of its own are the dearest: nothing of the chip is made twice.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

from axsim.study.executors import Here, usable_cores
from axsim.study.grid import Point, grid
from axsim.study.processes import Processes
from axsim.study.sweep import compute

WORKLOAD = "internvl2_1b"
CHIPS = ("ax650n", "ax630c")
VARIANTS = ("224-u8", "224-u16", "448-u8", "448-u16")
Grid = dict[str, Sequence[Any]]
Make = Callable[[int], list[Point]]


def spread(low: float, high: float, count: int) -> list[float]:
    """``count`` different numbers that are nobody's defaults."""
    return [low + (high - low) * (index + 0.5) / count for index in range(count)]


def whole(low: int, high: int, count: int) -> list[int]:
    return [int(each) for each in spread(low, high, count)]


def points(vary: Grid, variants: Iterable[str] | None, chips: Sequence[str] = CHIPS) -> list[Point]:
    chosen = None if variants is None else tuple(variants)
    return grid(WORKLOAD, chips, vary, settings={}, variants=chosen, timing_only=True)


def apart(key: str, values: Sequence[float]) -> list[Point]:
    """Every value once: by turns with each chip and variant."""
    pairs = [(chip, variant) for chip in CHIPS for variant in VARIANTS]
    return [
        point
        for index, (chip, variant) in enumerate(pairs)
        for point in points({key: values[index :: len(pairs)]}, [variant], [chip])
    ]


def mixed(count: int) -> list[Point]:
    """The issue's example: vision dtypes and sizes, and a range of DRAM rates, on both chips."""
    vary: Grid = {
        "chip.dram.data_rate_mtps": spread(2133, 4267, max(1, count // 8)),
        "build.vision_dtype": ["u8", "u16"],
        "request.image_size": [224, 448],
    }
    return points(vary, None)


def requests(count: int) -> list[Point]:
    """Prompts and cache lengths on chips as they are."""
    vary: Grid = {
        "request.text_tokens": whole(16, 300, max(1, count // 16)),
        "build.kv_cache_len": [1023, 2047],
    }
    return points(vary, VARIANTS)


GRIDS = {
    "requests on given chips": requests,
    "mixed: dtype, size, DRAM rate": mixed,
    "a DRAM rate of its own": lambda n: apart("chip.dram.data_rate_mtps", spread(2133, 4267, n)),
    "an NPU clock of its own": lambda n: apart("chip.calibrated.clock_mhz", spread(500, 1000, n)),
    "a fill rate of its own": lambda n: apart(
        "chip.npu.conv.fill_bytes_per_cycle", spread(8, 64, n)
    ),
    "an on-chip memory of its own": lambda n: apart(
        "chip.npu.ocm_bytes", whole(700_000, 12_000_000, n)
    ),
}


TARGETS = dict(zip(GRIDS, (1500, 1500, 1000, 800, 800, 400), strict=True))
"""Points per second of processor time, with the extra ``fast``, on one quiet core at 2.8 GHz."""


def rows(chosen: Sequence[Point], executor: Executor) -> int:
    """Points that were computed; all must be."""
    found = [row for part in compute(chosen, executor) for row in part]
    failed = [row["error"] for row in found if row["error"] is not None]
    if failed:
        sys.exit(f"{len(failed)} points failed: {failed[0]}")
    return len(found)


def warm(executor: Executor, processes: int) -> None:
    """Every process sees every chip and variant: more batches than it can leave to the others."""
    vary: Grid = {"chip.npu.step_us": spread(0.5, 2, 8 * processes)}
    rows(points(vary, VARIANTS), executor)


def in_one_process(make: Make, count: int) -> float:
    """Points per second of processor time."""
    chosen = make(count)
    begin = time.process_time()
    done = rows(chosen, Here())
    return done / (time.process_time() - begin)


def in_a_pool(make: Make, count: int, processes: int, repeat: int) -> float:
    """Points per second of wall time, the best of some repetitions."""
    best = 0.0
    with Processes(processes, usable_cores()) as executor:
        warm(executor, processes)
        for again in range(repeat):
            chosen = make(count + 8 * again)  # other values
            begin = time.perf_counter()
            done = rows(chosen, executor)
            best = max(best, done / (time.perf_counter() - begin))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--points", type=int, default=160, help="about so many a grid")
    parser.add_argument("--workers", type=int, default=usable_cores())
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--skip", default="", help="of process, pool")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    skipped = set(options.skip.split(","))
    found: dict[str, dict[str, float]] = {name: {} for name in GRIDS}

    if "process" not in skipped:
        warm(Here(), 1)
        print(f"{'points per CPU second':36}{'points/s':>10}{'target':>10}")
        for name, make in GRIDS.items():
            speed = max(in_one_process(make, options.points + 8 * n) for n in range(options.repeat))
            found[name]["cpu"] = speed
            print(f"{name:36}{speed:10.0f}{TARGETS[name]:10}", flush=True)
    if "pool" not in skipped:
        print(f"\n{'points per wall second':36}{'processes':>10}{'points/s':>10}{'efficiency':>12}")
        for name in list(GRIDS)[1:3]:
            for processes in range(1, options.workers + 1):
                count = 4 * options.points
                speed = in_a_pool(GRIDS[name], count, processes, options.repeat)
                found[name][f"wall {processes}"] = speed
                part = speed / found[name]["wall 1"] / processes
                print(f"{name:36}{processes:10}{speed:10.0f}{part:12.0%}", flush=True)
    load = os.getloadavg()[0]
    print(f"\n{os.cpu_count()} cores, load {load:.1f}, Python {sys.version.split()[0]}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
