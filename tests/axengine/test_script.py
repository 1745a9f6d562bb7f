"""``axsim exec``: scripts run as Python would run them, and see the clock that was asked for."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time

import pytest
from rich.console import Console

from axsim.axengine.calls import SessionUsage, Usage
from axsim.axengine.usage_table import usage_table
from tests.cli.command import axsim, process
from tests.runs import tiny


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("exec")
    arguments = tiny.write(folder), "--chip", "ax630c", "-o", folder, "--no-check", "--quiet"
    axsim("build", *arguments)
    return folder


@pytest.fixture
def run(files):
    def run(text, *arguments, code=0, options=()):
        (files / "script.py").write_text(text, encoding="utf-8")
        return axsim("exec", *options, "script.py", *arguments, code=code, folder=files)

    return run


POST = """\
import time
import numpy as np, axengine
from ml_dtypes import bfloat16
session = axengine.InferenceSession("qwen2_post.axmodel")
feed = {"input": np.zeros((1, 1, 32), bfloat16)}
"""


def test_arguments_main_and_path_are_those_of_python(files):
    (files / "beside.py").write_text("VALUE = 7\n")
    script = files / "as_python.py"
    script.write_text(
        "import sys, json, os, __main__\n"
        "from beside import VALUE\n"
        "here = dict(name=__name__, file=__file__, argv=sys.argv, path=sys.path[0], value=VALUE,\n"
        "            main=__main__.VALUE, cached=__cached__, spec=__spec__, doc=__doc__)\n"
        "print(json.dumps(here))\n"
    )
    asked = [os.path.relpath(script), "--json", "x", "-q", "--", "--help", "a b"]
    python = subprocess.run([sys.executable, *asked], capture_output=True, text=True, check=True)
    ours = process("exec", "--quiet", *asked)
    assert json.loads(ours.stdout) == json.loads(python.stdout)


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("import sys; sys.exit(7)", 7, ""),
        ("import sys; sys.exit('no such thing')", 1, "no such thing"),
        ("raise SystemExit", 0, ""),
        ("exit(300)", 44, ""),
        ("1 / 0", 1, "ZeroDivisionError"),
        ("x = (", 1, "SyntaxError"),
        ("raise KeyboardInterrupt", 130, "interrupted"),
    ],
)
def test_the_exit_status_is_the_scripts(run, text, code, told):
    assert told in run(text, code=code).stderr


def test_a_traceback_begins_in_the_script(run):
    lines = run("def f():\n    return {}['key']\nf()\n", code=1).stderr.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[1].endswith('script.py", line 3, in <module>')
    assert lines[-1] == "KeyError: 'key'"


def test_main_is_what_it_was_afterwards(run):
    before = sys.modules["__main__"], list(sys.path), sys.argv, time.time
    run("import sys; sys.path.append('x'); value = 3", "a", options=("--virtual-time",))
    assert before == (sys.modules["__main__"], list(sys.path), sys.argv, time.time)


def test_the_table_and_its_json(run, files):
    text = POST + "for _ in range(3): session.run(None, feed)\n"
    told = run(text, options=("--json", "usage.json")).stdout.splitlines()
    at = next(i for i, line in enumerate(told) if line.startswith("session"))
    assert told[at].split() == [
        "session", "group", "calls", "total", "ms", "mean", "ms", "min", "ms", "max", "ms", "share",
    ]  # fmt: skip
    row = told[at + 1].split()
    assert row[:3] == ["qwen2_post", "0", "3"]
    assert row[-1] == "100.0%"
    assert "ms of ax630c in 3 calls" in told[at + 2]
    document = json.loads((files / "usage.json").read_text())
    assert document["calls"] == 3
    assert document["total_ms"] == pytest.approx(3 * document["sessions"][0]["groups"][0]["min_ms"])
    assert "session " not in run(text, options=("--quiet",)).stdout
    piped = run(text + "print('{}')", options=("--json", "-"))
    assert json.loads(piped.stdout)["calls"] == 3
    assert "{}\n" in piped.stderr


def test_virtual_time_is_the_chips(run):
    text = """
clocks = (time.time, time.perf_counter, time.monotonic)
before = [clock() for clock in clocks]
session.run(None, feed); session.run(None, feed)
time.sleep(2.5)
print("passed", *(round(1e3 * (clock() - b), 3) for clock, b in zip(clocks, before)))
ns = time.perf_counter_ns(); session.run(None, feed); print("ns", time.perf_counter_ns() - ns)
import queue
try:
    queue.Queue().get(timeout=0.01)
except queue.Empty:
    print("waited")
"""
    begun = time.perf_counter()
    told = run(POST + text, options=("--virtual-time",)).stdout
    assert time.perf_counter() - begun < 2  # nobody slept
    row = next(line for line in told.splitlines() if line.startswith("qwen2_post")).split()
    total = float(row[3]) / 3 * 2 + 2500
    passed = next(line for line in told.splitlines() if line.startswith("passed")).split()[1:]
    assert [float(each) for each in passed] == pytest.approx([total] * 3, abs=0.002)
    ns = next(line for line in told.splitlines() if line.startswith("ns")).split()[1]
    assert int(ns) / 1e6 == pytest.approx(float(row[4]), abs=1e-3)
    assert "waited" in told


def test_sleeps_of_threads_overlap_in_virtual_time(run):
    text = """
import time
from concurrent.futures import ThreadPoolExecutor
begun, told = time.time(), []
def work(seconds):
    before = time.time()
    time.sleep(seconds)
    told.append(round(time.time() - before, 3))
with ThreadPoolExecutor(3) as pool:
    list(pool.map(work, (3, 1, 2)))
print("slept", sorted(told), "in", round(time.time() - begun, 3))
"""
    begun = time.perf_counter()
    assert "slept [1.0, 2.0, 3.0] in 3.0" in run(text, options=("--virtual-time",)).stdout
    assert time.perf_counter() - begun < 3


def test_in_real_time_calls_take_as_long_as_on_the_chip(run):
    text = (
        "layer = axengine.InferenceSession('qwen2_p8_l0_together.axmodel')\n"
        + """
zeros = {a.name: np.zeros(a.shape, a.dtype) for a in layer.get_inputs()}
layer.run(None, zeros)
t = time.perf_counter()
for _ in range(40): layer.run(None, zeros)
print("took", 1e3 * (time.perf_counter() - t))
"""
    )
    told = run(POST + text, options=("--realtime",)).stdout
    row = next(line for line in told.splitlines() if line.startswith("qwen2_p8")).split()
    took = next(line for line in told.splitlines() if line.startswith("took")).split()[1]
    assert float(took) >= 40 * float(row[5])


def test_a_file_that_cannot_be_loaded_is_one_clear_error(run, files):
    (files / "broken.axmodel").write_bytes((files / "qwen2_post.axmodel").read_bytes()[:-50])
    text = "import axengine\nx = 1\naxengine.InferenceSession('broken.axmodel')\n"
    told = run(text, code=2).stderr
    assert told.startswith("error: broken.axmodel: is damaged: ")
    assert "script.py, line 3" in told
    assert "Traceback" not in told
    caught = (
        f"import axengine\ntry:\n    {text.splitlines()[2]}\nexcept RuntimeError as e: print(e)"
    )
    assert "is damaged" in run(caught).stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.py",), "error: cannot open nowhere.py: No such file or directory"),
        (("--chip", "ax9", "script.py"), "no chip is named 'ax9'"),
        (("--realtime", "--virtual-time", "script.py"), "contradict each other"),
        (("--json", "no/where.json", "script.py"), "cannot write no/where.json"),
    ],
)
def test_wrong_input(files, arguments, message):
    (files / "script.py").write_text("")
    assert message in axsim("exec", *arguments, code=2, folder=files).stderr


def test_threads_are_waited_for(run):
    text = """
import threading
def later():
    time.sleep(0.05)
    session.run(None, feed)
threading.Thread(target=later).start()
"""
    assert "in 1 calls" in run(POST + text).stdout


def test_processes_that_a_script_starts_have_a_board_of_their_own(run, files):
    (files / "worker.py").write_text(
        "import axengine\n"
        "session = axengine.InferenceSession('qwen2_post.axmodel')\n"
        "print(session.get_providers(), session.get_inputs()[0].shape)\n"
    )
    text = """
import subprocess, sys
command = [sys.executable, "worker.py"]
print(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
"""
    before = dict(os.environ), list(sys.path)
    told = run(text, options=("--chip", "ax630c", "--card")).stdout
    assert "AXCLRTExecutionProvider [1, 1, 32]" in told
    assert before == (dict(os.environ), sys.path)


def test_the_table_fits_a_terminal():
    usage = Usage("ax650n", "NPU3")
    name = "a_model_with_a_name_that_is_long_p1280_l27_together"
    usage.sessions.append(SessionUsage(name, "layer"))
    for ms in (0.5, 98765.4321):
        for _ in range(999):
            usage.sessions[0].of(12).add(ms, 0.0)
    console = Console(width=80, file=io.StringIO())
    console.print(usage_table(usage))
    lines = console.file.getvalue().splitlines()
    assert len(lines) == 2
    assert max(map(len, lines)) <= 80
    assert lines[1].split()[1:] == [
        "12", "1998", "98667166.2", "49383.0", "0.500", "98765.4", "100.0%",
    ]  # fmt: skip
