"""``axsim sweep`` from the outside."""

from __future__ import annotations

import csv
import os
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from tests.cli.command import COMMAND, axsim
from tests.runs import tiny

SWEEP = [*COMMAND, "sweep"]
TINY = ["tiny.yaml", "--chip", "ax630c", "--timing-only"]
LARGE = [*TINY, "--vary", "chip.dram.data_rate_mtps=1600..3200:400"]

sweep = partial(axsim, "sweep")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a workload of toy size."""
    tiny.write(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    """The table of :data:`LARGE`, computed in one go."""
    path = tmp_path_factory.mktemp("whole")
    tiny.write(path)
    sweep(*LARGE, "-o", "whole.csv", "-j", "1", folder=path)
    return (path / "whole.csv").read_bytes()


def test_csv_file_and_standard_output_hold_the_same(folder) -> None:
    grid = [*TINY, "--vary", "request.new_tokens=2,3", "--vary", "request.image_size=28,30"]
    found = sweep(*grid, "-o", "out.csv", "-j", "2", folder=folder)
    assert found.stdout == ""
    assert "6 rows in out.csv, 2 with an error" in found.stderr
    text = (folder / "out.csv").read_text()
    assert sweep(*grid, "-j", "1", folder=folder).stdout == text
    rows = list(csv.DictReader(text.splitlines()))
    assert [row["request.image_size"] for row in rows] == ["28", "28", "30"] * 2
    assert "a multiple of 28" in rows[2]["error"]
    assert float(rows[0]["ttft_ms"]) > 0
    assert sorted(path.name for path in folder.iterdir()) == ["out.csv", "tiny.yaml"]


def test_parquet(folder) -> None:
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    grid = [*TINY, "--chip", "ax650n", "--vary", "chip.dram.data_rate_mtps=1000..2000:3"]
    sweep(*grid, "-o", "out.parquet", "-j", "1", folder=folder)
    frame = pandas.read_parquet(folder / "out.parquet")
    assert list(frame["chip"]) == ["ax630c"] * 6 + ["ax650n"] * 6
    assert list(frame["chip.dram.data_rate_mtps"][:6]) == [1000, 1000, 1500, 1500, 2000, 2000]
    assert (frame["ttft_ms"] > 0).all()


def test_killed_and_resumed_is_the_same_file(folder, whole) -> None:
    grid = [*LARGE, "-j", "2"]
    journal = folder / "out.csv.journal"
    process = subprocess.Popen([*SWEEP, *grid, "-o", "out.csv"], cwd=folder)
    wait_for_points(journal, 20)
    workers = children(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "out.csv").exists()
    kept = journal.read_bytes().count(b"\n")
    assert 20 <= kept < 400

    refused = sweep(*grid, "-o", "out.csv", folder=folder, code=2)
    assert "--resume" in refused.stderr
    assert journal.read_bytes().count(b"\n") == kept

    sweep(*grid, "-o", "out.csv", "--resume", folder=folder)
    assert (folder / "out.csv").read_bytes() == whole
    assert not journal.exists()
    assert workers
    assert not any(alive(each) for each in workers)


@pytest.mark.slow
def test_a_local_worker_that_is_killed_is_replaced(folder, whole) -> None:
    journal = folder / "out.csv.journal"
    process = subprocess.Popen([*SWEEP, *LARGE, "-j", "2", "-o", "out.csv"], cwd=folder)
    wait_for_points(journal, 20)
    worker = next(each for each in children(process.pid) if "spawn_main" in command(each))
    os.kill(worker, signal.SIGKILL)
    assert process.poll() is None  # in mid-run
    assert process.wait(timeout=300) == 0
    assert (folder / "out.csv").read_bytes() == whole


def test_ctrl_c_ends_it_soon_and_keeps_what_is_finished(folder) -> None:
    grid = [*TINY, "--vary", "chip.dram.data_rate_mtps=1600..3200:2000", "-j", "2"]
    journal = folder / "out.csv.journal"
    process = subprocess.Popen(
        [*SWEEP, *grid, "-o", "out.csv"],
        cwd=folder,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        wait_for_points(journal, 20)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: the workers get it too
        _, errors = process.communicate(timeout=300)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "--resume goes on" in errors
    assert "Traceback" not in errors
    assert 20 <= journal.read_bytes().count(b"\n") < 2000
    assert not (folder / "out.csv").exists()


def wait_for_points(journal: Path, count: int) -> None:
    """Until so many points are finished."""
    deadline = time.monotonic() + 300
    while not journal.exists() or journal.read_bytes().count(b"\n") < count:
        assert time.monotonic() < deadline
        time.sleep(0.005)


def children(pid: int) -> list[int]:
    """Processes that ``pid`` has started."""
    paths = list(Path(f"/proc/{pid}/task").glob("*/children"))
    if not paths:
        pytest.skip("no /proc with children")
    return [int(each) for path in paths for each in path.read_text().split()]


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_wrong_input_is_told_before_anything_runs(folder) -> None:
    for arguments, what in (
        (["--vary", "build.vision_dtpye=u8"], "did you mean 'vision_dtype'"),
        (["--vary", "build.vision_dtype"], "not an assignment"),
        (["-o", "out.txt"], ".csv or .parquet"),
        (["-o", "nowhere/out.csv"], "no folder"),
        (["--resume"], "--resume needs"),
        (["-o", "a.csv", "--plot", "a.csv"], "given for two outputs"),
        (["--chip", "ax630c,ax630c"], "'ax630c' is given twice"),
    ):
        assert what in " ".join(sweep(*TINY, *arguments, folder=folder, code=2).stderr.split())
    assert [path.name for path in folder.iterdir()] == ["tiny.yaml"]


def test_nothing_but_failures_is_a_failure(folder) -> None:
    found = sweep(*TINY, "--vary", "request.image_size=30", "-o", "out.csv", folder=folder, code=1)
    assert "a multiple of 28" in found.stderr
    assert (folder / "out.csv").exists()


@pytest.mark.slow
def test_a_dask_cluster_that_loses_a_worker(folder, whole) -> None:
    from distributed import LocalCluster  # of the test extra: never skipped

    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True}
    with LocalCluster(**options, host="127.0.0.1", dashboard_address=None) as cluster:
        command = [*SWEEP, *LARGE, "-o", "out.csv", "--scheduler", cluster.scheduler_address]
        process = subprocess.Popen(command, cwd=folder)
        wait_for_points(folder / "out.csv.journal", 20)
        os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
        assert process.poll() is None  # in mid-run
        assert process.wait(timeout=300) == 0
    assert (folder / "out.csv").read_bytes() == whole


def test_an_objective_that_is_no_column_is_told_so() -> None:
    words = ("sweep", "qwen3_0_6b", "--chip", "ax630c", "--timing-only", "--objective")
    assert "there is no such column" in axsim(*words, "tokens", code=2).stderr
    err = axsim(*words, "ttft", code=2).stderr
    assert "ttft: there is no such column; did you mean 'ttft_ms'?" in err


@pytest.mark.slow
@pytest.mark.parametrize("finished", [0, 1, 60])
def test_a_dask_scheduler_that_dies(folder, whole, finished: int) -> None:
    """One line, nothing that was finished is lost, and the rest is computed elsewhere."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    dask = [sys.executable, "-m", "distributed.cli"]
    options = {"cwd": folder, "stderr": subprocess.DEVNULL}
    at = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    scheduler = subprocess.Popen([*dask[:2], f"{dask[2]}.dask_scheduler", *at], **options)
    one = [address, "--nthreads", "1", "--no-dashboard"]
    worker = subprocess.Popen([*dask[:2], f"{dask[2]}.dask_worker", *one], **options)
    try:
        grid = [*LARGE, "-o", "out.csv"]
        command = [*SWEEP, *grid, "--scheduler", address]
        journal = folder / "out.csv.journal"
        deadline = time.monotonic() + 60
        while not listens(port):
            assert time.monotonic() < deadline
            time.sleep(0.1)
        process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
        wait_for_points(journal, finished)
        assert process.poll() is None  # in mid-run
        scheduler.kill()
        _, errors = process.communicate(timeout=120)
    finally:
        scheduler.kill()
        worker.kill()
    assert process.returncode in (1, 2)
    assert errors.count("\n") == 1
    if process.returncode == 1:
        assert errors == "error: the dask scheduler is gone; --resume goes on from here\n"
    else:  # before there was a connection
        assert not finished
        assert f"no dask scheduler answers at {address}" in errors
    kept = journal.read_bytes().count(b"\n")
    assert finished <= kept < 400
    sweep(*grid, "--resume", "-j", "2", folder=folder)
    assert (folder / "out.csv").read_bytes() == whole


def free_port() -> int:
    """One that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody does."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0
