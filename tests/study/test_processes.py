"""Processes that die under their tasks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future
from pathlib import Path

import pytest

from axsim.study.grid import Point, grid
from axsim.study.point import Row, evaluate_all
from axsim.study.processes import THREAD_LIMITS, Processes, WorkerDied
from axsim.study.sweep import compute, table
from tests.runs.tiny import variants


def die_once(marker: Path) -> str:
    if marker.exists():
        return "alive"
    marker.touch()
    os._exit(1)


def test_a_task_whose_process_dies_is_tried_once_more(tmp_path) -> None:
    with Processes(1, 1) as processes:
        assert processes.submit(die_once, tmp_path / "marker").result() == "alive"


def test_only_the_task_that_kills_is_lost() -> None:
    with Processes(2, 2) as processes:
        before = [processes.submit(abs, -n) for n in range(20)]
        fatal = processes.submit(os._exit, 1)
        after = [processes.submit(abs, -n) for n in range(20)]
        assert [each.result() for each in before + after] == [*range(20), *range(20)]
        with pytest.raises(WorkerDied, match="killed 2 times"):
            fatal.result()


def test_errors_of_a_task_are_its_own() -> None:
    with Processes(1, 1) as processes:
        with pytest.raises(ZeroDivisionError):
            processes.submit(divmod, 1, 0).result()
        assert processes.submit(divmod, 7, 2).result() == (3, 1)


def test_processes_that_cannot_start_are_not_tried_for_ever(monkeypatch) -> None:
    monkeypatch.setattr("axsim.study.processes._prepare", os._exit)
    with Processes(1, 1) as processes, pytest.raises(BrokenExecutor):
        processes.submit(abs, -1).result()


def test_a_script_without_a_guard_is_told_so(tmp_path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from axsim.study.processes import Processes\n"
        "with Processes(1, 1) as processes:\n"
        "    print(processes.submit(abs, -1).result())\n"
    )
    found = subprocess.run([sys.executable, script], capture_output=True, text=True)
    assert found.returncode == 1
    assert found.stdout == ""
    assert found.stderr.rstrip().endswith("does the script have `if __name__ == '__main__':`?")


def test_an_exception_ends_what_runs_and_cancels_what_waits() -> None:
    futures: list[Future] = []

    def interrupted() -> None:
        with Processes(1, 1) as processes:
            assert processes.submit(abs, -1).result() == 1
            futures.append(processes.submit(time.sleep, 3600))
            futures.append(processes.submit(abs, -1))
            while not futures[0].running():
                time.sleep(0.01)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(BrokenExecutor):
        futures[0].result()
    with pytest.raises(CancelledError):
        futures[1].result()


def test_kernels_share_the_cores(monkeypatch) -> None:
    for name in THREAD_LIMITS:  # distributed sets some in any process that starts its workers
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "16")
    monkeypatch.setenv("MKL_NUM_THREADS", "1")
    with Processes(2, 8) as processes:
        found = [processes.submit(os.getenv, name).result() for name in THREAD_LIMITS]
    assert dict(zip(THREAD_LIMITS, found, strict=True)) == {
        "AXSIM_THREADS": "4",
        "OMP_NUM_THREADS": "4",
        "OPENBLAS_NUM_THREADS": "4",
        "MKL_NUM_THREADS": "1",
    }


def too_large(settings: Mapping[str, object]) -> bool:
    """Two points of :func:`test_a_point_that_kills_its_worker_is_a_row_and_the_rest_go_on`, the
    second of one batch and the first of another."""
    return settings["request.new_tokens"] == 3 and settings["request.seed"] in (0, 1)


def fatal_when_too_large(points: Sequence[Point]) -> list[list[Row]]:
    """:func:`evaluate_all`, but some points are too large for the memory."""
    if any(too_large(json.loads(point.settings)) for point in points):
        os._exit(1)
    return evaluate_all(points)


class Fatal(Executor):
    """Computes with :func:`fatal_when_too_large`."""

    def __init__(self, processes: Processes) -> None:
        self._processes = processes

    def submit(self, fn, /, *args, **kwargs) -> Future:
        assert fn is evaluate_all
        return self._processes.submit(fatal_when_too_large, *args, **kwargs)


def test_a_point_that_kills_its_worker_is_a_row_and_the_rest_go_on() -> None:
    vary = {"request.seed": list(range(12)), "request.new_tokens": [2, 3, 4]}
    points = grid(
        variants(), ["ax630c"], vary, settings={}, variants=["u8"], timing_only=True
    )[:34]  # fmt: skip
    with Processes(2, 2) as processes:
        rows = table(compute(points, Fatal(processes)), list(vary))
    assert [row["request.new_tokens"] for row in rows] == [2, 3, 4] * 11 + [2]
    for row in rows:
        if too_large(row):
            assert "WorkerDied" in row["error"]
        else:
            assert row["error"] is None
            assert row["ttft_ms"] > 0
