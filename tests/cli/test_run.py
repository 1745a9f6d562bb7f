"""``axsim run`` from the outside."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

import axsim
from tests.cli import command as cli
from tests.runs import tiny
from tests.runs.tiny import variants

run = partial(cli.axsim, "run")
process = partial(cli.process, "run")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A folder with a workload of toy size."""
    path = tmp_path_factory.mktemp("run")
    tiny.write(path)
    return path


def test_timing_only(tmp_path) -> None:
    out = process("internvl2_1b", "--chip", "ax630c", "--timing-only", folder=tmp_path).stdout
    assert out.startswith("InternVL2-1B on ax630c, NPU2")
    for name in ("224-u8", "224-u16", "448-u8", "448-u16"):
        assert f"\n{name}" in out
    assert "measured" in out
    assert "Where the time of 224-u8 goes" in out
    assert "cosine" not in out
    assert out == run("internvl2_1b", "--chip", "ax630c", "--timing-only").stdout


def test_a_model_that_does_not_fit_is_a_question_with_timing_only_and_a_warning_else(
    folder,
) -> None:
    small = ("tiny.yaml", "--chip", "ax630c", "--set", "chip.dram.capacity_bytes=65536")
    asked = run(*small, "--timing-only", folder=folder)
    assert "does not fit: needs" in asked.stdout.split("Where the time")[0]
    assert asked.stderr == ""
    computed = run(*small, folder=folder)
    assert "warning: " in computed.stderr
    assert "does not fit: needs 1 MiB, has 0" in computed.stderr


def test_with_kernels_the_timing_comes_first_and_the_numbers_later(folder) -> None:
    found = process("tiny.yaml", "--chip", "ax630c", folder=folder)
    first, _, rest = found.stdout.partition("with the kernels:")
    assert "cosine" not in first
    assert "cosine" in rest
    assert "synthetic" in rest
    result = axsim.run(variants(), "ax630c")
    for each in result:
        assert f"{each.numerics.vision_cosine:.4f}" in rest
        assert " ".join(map(str, each.numerics.tokens)) in rest
    assert found.stderr == ""


def test_files_and_standard_output(folder) -> None:
    names = ["--json", "r.json", "--csv", "r.csv", "--trace", "r.trace.json.gz"]
    run("tiny.yaml", "--chip", "ax630c", *names, folder=folder)
    document = json.loads((folder / "r.json").read_text())
    assert [each["name"] for each in document["variants"]] == ["u8", "u16"]
    assert document["variants"][0]["numerics"]["synthetic"] is True
    with (folder / "r.csv").open() as file:
        assert [row["variant"] for row in csv.DictReader(file)] == ["u8", "u16"]
    assert (folder / "r.trace.json.gz").stat().st_size > 1000
    shown = run("tiny.yaml", "--chip", "ax630c", "--json", "-", folder=folder).stdout
    assert json.loads(shown) == document
    shown = run("tiny.yaml", "--chip", "ax630c", "--csv", "-", folder=folder).stdout
    assert shown == (folder / "r.csv").read_text()


def test_quiet(folder) -> None:
    found = run("tiny.yaml", "--chip", "ax630c", "--quiet", "--json", "q.json", folder=folder)
    assert found.stdout == found.stderr == ""
    assert json.loads((folder / "q.json").read_text())["complete"] is True


def test_kernels_leave_no_trace_in_the_timeline(folder) -> None:
    run("tiny.yaml", "--chip", "ax630c", "-q", "--trace", "full.json", folder=folder)
    run("tiny.yaml", "--chip", "ax630c", "-q", "--trace", "bare.json", "--timing-only",
        folder=folder)  # fmt: skip
    assert (folder / "full.json").read_bytes() == (folder / "bare.json").read_bytes()


def test_one_variant_and_its_settings(folder) -> None:
    out = run(
        "tiny.yaml", "--chip", "ax650n", "--variant", "u16", "--timing-only",
        "--set", "request.new_tokens=2", "--set", "chip.dram.data_rate_mtps=2000", folder=folder,
    ).stdout  # fmt: skip
    assert "\nu16" in out
    assert "\nu8" not in out
    assert "2 new ones" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["tiny.yaml", "--chip", "ax63"], "error: no chip is named 'ax63'; did you mean 'ax630c'?"),
        (["tiny", "--chip", "ax630c"], "no shipped workload is named 'tiny'"),
        (["tiny.yaml", "--chip", "ax630c", "--variant", "u9"], "no variant 'u9'; allowed: u8, u16"),
        (["tiny.yaml", "--chip", "ax630c", "--set", "build.x=1"], "build.x: unknown key"),
        (["tiny.yaml", "--chip", "ax630c", "--set", "build.npu_mode=NPU3"], "no NPU mode 'NPU3'"),
        (["tiny.yaml", "--chip", "ax630c", "--json", "no/x.json"], "cannot write no/x.json"),
        (["tiny.yaml", "--chip", "ax630c", "--json", "-", "--csv", "-"], "only one of"),
        (["tiny.yaml", "--chip", "ax630c", "--plot-kind", "roofline"], "--plot FILE"),
        (["tiny.yaml", "--chip", "ax630c", "--checkpoint", "nowhere"], "nowhere"),
        (["tiny.yaml"], "--chip"),
    ],
)
def test_wrong_input_is_told_with_status_2(folder, arguments, message) -> None:
    found = run(*arguments, folder=folder, code=2)
    assert message in found.stderr


def test_an_interrupt_keeps_what_is_finished(folder) -> None:
    script = (
        f"{cli.HEARING}import os\n"
        "from axsim.runs import numbers\n"
        "whole = numbers.Kernels.run\n"
        "done = []\n"
        "def run(self, deployment):\n"
        "    if done: os.kill(os.getpid(), signal.SIGINT)\n"
        "    done.append(1)\n"
        "    return whole(self, deployment)\n"
        "numbers.Kernels.run = run\n"
        "from axsim.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", script, "run", "tiny.yaml", "--chip", "ax630c"]
    found = subprocess.run(
        [*command, "--json", "i.json"], cwd=folder, capture_output=True, text=True
    )
    assert found.returncode == 130, found.stderr
    assert "interrupted" in found.stderr
    assert "Traceback" not in found.stderr
    document = json.loads((folder / "i.json").read_text())
    assert document["complete"] is False
    first, second = document["variants"]
    assert first["numerics"]["tokens"]
    assert second["numerics"] is None
    assert second["predictions"] == json.loads(json.dumps(second["predictions"]))


def test_an_interrupt_inside_a_kernel_ends_the_run_too(folder) -> None:
    script = (
        f"{cli.HEARING}import os\n"
        "from axsim.numerics.executor import Executor\n"
        "whole = Executor.execute\n"
        "def execute(self, node):\n"
        "    if node == 'mlp.down_proj': os.kill(os.getpid(), signal.SIGINT)\n"
        "    whole(self, node)\n"
        "Executor.execute = execute\n"
        "from axsim.cli import main\n"
        "main()\n"
    )
    command = [sys.executable, "-c", script, "run", "tiny.yaml", "--chip", "ax630c"]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert found.returncode == 130, found.stderr
    assert "Where the time of u8 goes" in found.stdout
    assert "Traceback" not in found.stderr


def test_a_terminal_shows_progress_and_fills_the_table(folder) -> None:
    pty = pytest.importorskip("pty")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*cli.COMMAND, "run", "tiny.yaml", "--chip", "ax630c"],
        cwd=folder,
        stdout=slave,
        stderr=subprocess.PIPE,
        env={**os.environ, "COLUMNS": "80", "LINES": "50", "TERM": "xterm"},
    )
    os.close(slave)
    shown = b""
    while True:
        try:
            part = os.read(master, 65536)
        except OSError:
            break
        if not part:
            break
        shown += part
    assert process.wait() == 0, process.stderr.read()
    text = shown.decode()
    assert "left" in text
    assert "…" in text.split("Where the time")[0]
    last = text.split("Where the time")[0].split("variant")[-1]
    assert "…" not in last


def test_timing_only_imports_no_numeric_library(tmp_path) -> None:
    script = (
        "import sys\nfrom axsim.cli import main\n"
        "try: main()\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'pandas', 'scipy', 'onnxruntime', 'ml_dtypes', 'rich.live'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", script, "run", "internvl2_1b", "--chip", "ax630c"]
    found = subprocess.run(
        [*command, "--timing-only"], cwd=tmp_path, capture_output=True, text=True
    )
    assert found.stderr.strip() == "[]"


def test_importing_axsim_imports_nothing() -> None:
    script = "import axsim, sys; print([m for m in sys.modules if m.startswith('axsim.')])"
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
    assert set(axsim.__all__) <= set(dir(axsim))
    for name in axsim.__all__:
        assert getattr(axsim, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        axsim.nothing  # noqa: B018
