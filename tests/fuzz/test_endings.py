"""Commands that are ended at any moment, that share an output, that have no room, no home."""

from __future__ import annotations

import errno
import gzip
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

import axsim
from axsim.cli.terminal.outputs import outlive_readers
from axsim.errors import InputError
from axsim.files import check_writable, whole_file, write_json
from axsim.spec.descriptor import load_mapping
from axsim.spec.workload import Workload
from tests.cli.command import COMMAND
from tests.fidelity.test_board_logs import CHAT
from tests.fuzz.kinds import base
from tests.models.small import DECODERS

ROOT = str(Path(axsim.__file__).parents[1])
LEDGER = "id,chip,model,metric,value,weight_dtype\nA,ax630c,Qwen3-0.6B,decode_layer_ms,3,s8\n"
TIMED = ("w.yaml", "--chip", "ax630c", "--timing-only", "-q")

LOGGED = ("--chip", "ax650n", "--workload", "internvl2_1b", "--variant", "224-u8")
METER = "id,workload,variant,set,run,watts\na,,,,idle,1.2\nb,w.yaml,,,decode,3\n"

WRITERS: dict[str, tuple[tuple[str, ...], str]] = {
    "json": (("run", *TIMED, "--json", "o.json"), "o.json"),
    "kernels": (("run", *TIMED[:3], "-q", "--json", "o.json"), "o.json"),
    "csv": (("run", *TIMED, "--csv", "o.csv"), "o.csv"),
    "trace": (("run", *TIMED, "--trace", "o.json.gz"), "o.json.gz"),
    "plot": (("run", *TIMED, "--plot", "o.svg"), "o.svg"),
    "report": (("report", *TIMED, "-o", "o.html"), "o.html"),
    "snapshot": (("snapshot", *TIMED[:3], "-o", "o.json"), "o.json"),
    "import": (("import", ".", "-o", "o.yaml"), "o.yaml"),
    "export": (("export", "w.yaml", "-o", ".", "--subgraph", "post"), "post.onnx"),
    "sweep": (
        ("sweep", *TIMED, "-j", "2", "-o", "o.csv", "--vary", "build.kv_cache_len=20..60:41"),
        "o.csv",
    ),
    "validate": (("validate", "-q", "--ledger", "l.csv", "--json", "o.json"), "o.json"),
    "simulate": (("simulate", "s.yaml", "-q", "--json", "o.json"), "o.json"),
    "shared": (("simulate", "s.yaml", "-q", "--report", "o.html"), "o.html"),
    "ledger": (("ledger", "import", "a.log", *LOGGED, "-o", "o.csv"), "o.csv"),
    "calibrate": (("calibrate", "ax630c", "--power", "m.csv", "-o", "o.yaml"), "o.yaml"),
    "precision": (("precision", *TIMED[:3], "-o", "o.json"), "o.json"),
    "explain": (("explain", *TIMED[:3], "--json", "o.json"), "o.json"),
    "build": (("build", *TIMED[:3], "-q", "--no-check", "-o", "out"), "out"),
}
"""Arguments of every sort of command that writes, and the file or folder."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    base.write(tmp_path, "w.yaml", base.tiny_text())
    base.write(tmp_path, "config.json", json.dumps(DECODERS["qwen3-bias"]))
    base.write(tmp_path, "l.csv", LEDGER)
    base.write(tmp_path, "m.csv", METER)
    base.write(tmp_path, "a.log", CHAT)
    base.write(tmp_path, "s.yaml", yaml.safe_dump(base.scenarios()[1]))
    return tmp_path


def start(folder: Path, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    env = {**os.environ, "PYTHONPATH": ROOT, **options.pop("env", {})}
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen([*COMMAND, *arguments], cwd=folder, env=env, **given)


def ended(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Exit status and what was said on stderr."""
    _, stderr = process.communicate(timeout=300)
    return process.returncode, (stderr or b"").decode()


def is_whole(path: Path) -> bool:
    """Whether a file is one that its command has finished; a folder, whether all of it is."""
    if path.is_dir():
        return all(map(is_whole, path.iterdir()))
    data = path.read_bytes()
    if path.suffix == ".gz":
        json.loads(gzip.decompress(data))
    elif path.suffix == ".json":
        json.loads(data)
    elif path.suffix == ".axmodel":
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
    elif path.suffix in (".bin", ".npy"):
        return not path.name.startswith(".")
    elif path.suffix == ".onnx":
        import onnx

        onnx.load_from_string(data)
    else:
        return data.rstrip().endswith((b"</svg>", b"</html>")) or data.endswith(b"\n")
    return True


def interrupted(name: str, folder: Path, how: signal.Signals, after: float) -> int:
    """End a command after so many seconds; what it leaves must be whole or absent."""
    arguments, output = WRITERS[name]
    before = {path.name for path in folder.iterdir()}
    process = start(folder, *arguments)
    time.sleep(after)
    process.send_signal(how)
    code, stderr = ended(process)
    assert code in {0, -how, 128 + how}, stderr  # 128 + how is what shells make of -how
    # Python itself tells of Ctrl-C before there is a command, and where a callback of its own was
    # running; there is nobody to catch it.
    own = how is signal.SIGINT and "Exception ignored" in stderr
    early = code == -signal.SIGINT and "KeyboardInterrupt" in stderr
    assert "Traceback" not in stderr or early or own, stderr
    path = folder / output
    if how is signal.SIGKILL and path.is_dir():  # what was begun is left, under another name
        for begun in path.glob(".*"):
            begun.unlink()
    assert not path.exists() or is_whole(path)
    left = {each.name for each in folder.iterdir()} - before
    if how is not signal.SIGKILL:
        assert left <= {output, f"{output}.journal"}
        assert not list(folder.glob("*/.*"))
    return code


@pytest.mark.fuzz
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", WRITERS)
def test_ended_at_any_moment(name: str, how: signal.Signals, folder: Path) -> None:
    arguments, output = WRITERS[name]
    begin = time.perf_counter()
    code, stderr = ended(start(folder, *arguments))
    whole = time.perf_counter() - begin
    assert code == 0, stderr
    finished = contents(folder / output)
    rng = Random(f"{name} {how}")
    for _ in range(3):
        shutil.rmtree(folder / output, ignore_errors=True)
        for left in (output, f"{output}.journal"):
            (folder / left).unlink(missing_ok=True)
        # Before the handler is there, Python itself ends as the signal says.
        interrupted(name, folder, how, rng.uniform(0.15, whole))
    if name == "sweep" and (folder / output).exists():
        return
    code, stderr = ended(start(folder, *arguments, *(["--resume"] if name == "sweep" else [])))
    assert code == 0, stderr
    assert contents(folder / output).keys() >= finished.keys()
    if name in ("sweep", "build"):  # that go on from what is there
        again = contents(folder / output)
        assert {each: again[each] for each in finished} == finished


def contents(path: Path) -> dict[str, bytes]:
    """What is in a file, or in each of a folder."""
    files = path.iterdir() if path.is_dir() else [path]
    return {each.name: each.read_bytes() for each in files}


@pytest.mark.fuzz
def test_told_to_end(folder: Path) -> None:
    """A sweep of seconds: what is finished stays, no half a file, no worker."""
    base.write(folder, "w.yaml", base.tiny_text())
    arguments = (
        "sweep",
        *TIMED,
        "-j",
        "1",
        "-o",
        "o.csv",
        "--vary",
        "build.kv_cache_len=20..9000:8000",
    )
    process = start(folder, *arguments)
    journal = folder / "o.csv.journal"
    while not (journal.exists() and journal.stat().st_size):
        assert process.poll() is None
        time.sleep(0.05)
    process.terminate()
    code, stderr = ended(process)
    assert code == -signal.SIGTERM
    assert "Traceback" not in stderr
    assert sorted(path.name for path in folder.iterdir() if path.name[0] in ".o") == [
        "o.csv.journal"
    ]
    assert journal.read_bytes().endswith(b"\n")


@pytest.mark.fuzz
@pytest.mark.parametrize("name", WRITERS)
def test_two_at_once(name: str, folder: Path) -> None:
    arguments, output = WRITERS[name]
    both = [start(folder, *arguments) for _ in range(2)]
    codes = {}
    for process in both:
        code, stderr = ended(process)
        codes[code] = stderr
        assert "Traceback" not in stderr
    assert 0 in codes
    assert set(codes) <= {0, 2}, codes
    if 2 in codes:
        assert name == "sweep"
        assert "another process" in codes[2] or "--resume" in codes[2]
    assert is_whole(folder / output)


def test_two_sweeps_of_one_journal(tmp_path: Path) -> None:
    from axsim.study.journal import Journal

    with Journal(tmp_path / "j"), pytest.raises(InputError, match="another process"):
        Journal(tmp_path / "j")
    with Journal(tmp_path / "j"):
        pass


def test_a_device_is_written_to_and_stays(tmp_path: Path) -> None:
    for name in ("/dev/null", "/dev/full"):
        before = os.stat(name)
        check_writable(name)
        if name == "/dev/null":
            write_json({"a": 1}, name)
        else:
            with pytest.raises(InputError, match="cannot write /dev/full: No space left"):
                write_json({"a": 1}, name)
        assert os.path.samestat(before, os.stat(name))
    (tmp_path / "a.json").write_text("old")
    (tmp_path / "link.json").symlink_to("a.json")
    write_json({"a": 1}, tmp_path / "link.json")
    assert (tmp_path / "link.json").is_symlink()
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 1}


def test_no_room_is_told(tmp_path: Path) -> None:
    told = pytest.raises(InputError, match=r"cannot write .*x: No space left on device")
    with told, whole_file(tmp_path / "x"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert not list(tmp_path.iterdir())


TO_STDOUT = [
    ("show", "ax630c"),
    pytest.param(("run", *TIMED[:4], "--json", "-"), marks=pytest.mark.fuzz),
]


@pytest.mark.parametrize("arguments", TO_STDOUT)
def test_a_full_disk_behind_stdout(arguments: tuple[str, ...], folder: Path) -> None:
    with open("/dev/full", "wb") as full:
        code, stderr = ended(start(folder, *arguments, stdout=full))
    assert code in (1, 2)
    assert "No space left" in stderr
    assert "Traceback" not in stderr


@pytest.mark.parametrize("arguments", TO_STDOUT)
def test_a_reader_that_has_enough(arguments: tuple[str, ...], folder: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    code, stderr = ended(start(folder, *arguments, stdout=write))
    os.close(write)
    assert code in (0, 1)
    assert stderr == ""


@pytest.mark.parametrize(
    ("name", "closed"),
    [
        (each, closed) if (each, closed) == ("json", "stdout") else
        pytest.param(each, closed, marks=pytest.mark.fuzz)
        for closed in ("stdout", "stderr")
        for each in WRITERS
    ],
)  # fmt: skip
def test_files_are_written_though_nobody_reads(name: str, closed: str, folder: Path) -> None:
    arguments, output = WRITERS[name]
    read, write = os.pipe()
    os.close(read)
    given = [each for each in arguments if each != "-q"]
    process = start(folder, *given, **{closed: write})
    os.close(write)
    code, stderr = ended(process)
    assert code == 0, stderr
    assert "BrokenPipe" not in stderr
    assert is_whole(folder / output)


def test_standard_output_that_is_closed_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(InputError, match="cannot write standard output: it is closed"):
        write_json({}, "-")
    outlive_readers()
    assert sys.stdout is None


OUTPUTS = ("--json", "--csv", "--trace")


@pytest.mark.parametrize("option", OUTPUTS)
def test_outputs_that_are_none(option: str, folder: Path) -> None:
    from tests.fuzz.bounded import outcome

    (folder / "d").mkdir()
    for place in ("d", "d/", "w.yaml/x", "nowhere/x", "x" * 300, "/proc/x"):
        found = outcome(["run", *TIMED, option, place], folder)
        assert found.code == 2, (place, found)
        assert "cannot write" in found.stderr or "File name too long" in found.stderr
        assert not found.faults


IN_FRONT = ("json", "csv", "trace", "plot", "report", "snapshot", "import", "sweep", "validate",
            "simulate", "shared", "ledger", "calibrate", "precision", "explain")  # fmt: skip
"""Writers that look before they compute."""


@pytest.mark.parametrize("name", IN_FRONT)
def test_a_folder_of_others(name: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not permitted is told before anything is computed. Root may do anything, so that the
    system's answer is made up."""
    monkeypatch.setattr("axsim.files.os.access", lambda path, mode: mode != os.W_OK)
    refused(name, folder)


@pytest.mark.parametrize(
    "name",
    [
        each if each in ("json", "sweep", "build") else
        pytest.param(each, marks=pytest.mark.fuzz)
        for each in WRITERS
    ],
)  # fmt: skip
def test_a_folder_that_turns_read_only(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*arguments: Any, **options: Any) -> Any:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("axsim.files.tempfile.mkstemp", denied)
    monkeypatch.setattr("axsim.study.journal.open", denied, raising=False)
    refused(name, folder)


def refused(name: str, folder: Path) -> None:
    """One line about the file or its folder, exit status 2, nothing left behind."""
    from tests.fuzz.bounded import outcome

    before = {path.name for path in folder.iterdir()}
    arguments, output = WRITERS[name]
    found = outcome(arguments, folder)
    assert found.code == 2, found
    assert not found.faults
    lines = [line for line in found.stderr.splitlines() if not line.startswith("assumed")]
    assert len(lines) == 1, found.stderr
    assert lines[0].startswith("error: cannot write")
    assert output.partition(".")[0] in lines[0]
    assert "ermission" in lines[0]
    assert {path.name for path in folder.iterdir()} - before <= {output}


ODD_HOMES = {
    "no home": {"HOME": None},
    "home that is none": {"HOME": "/dev/null"},
    "ascii": {"LC_ALL": "C", "LANG": None, "PYTHONIOENCODING": None},
    "no colour": {"NO_COLOR": "1", "FORCE_COLOR": None},
    "narrow": {"COLUMNS": "40"},
    "odd width": {"COLUMNS": "x"},
    "no width": {"COLUMNS": "0"},
    "no terminal": {"TERM": "dumb"},
    "odd threads": {"AXSIM_THREADS": "many"},
    "no threads": {"AXSIM_THREADS": "0"},
}


@pytest.mark.fuzz
@pytest.mark.parametrize("name", ODD_HOMES)
def test_odd_surroundings(name: str, folder: Path) -> None:
    env = {key: value for key, value in os.environ.items() if key not in ODD_HOMES[name]}
    env |= {key: value for key, value in ODD_HOMES[name].items() if value is not None}
    for arguments in (("run", *TIMED[:3]), ("show", "ax630c"), ("validate", "--ledger", "l.csv")):
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=folder,
            env={**env, "PYTHONPATH": ROOT},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        stdout, stderr = process.communicate(timeout=300)
        allowed = {2} if name == "odd threads" and arguments[0] == "run" else {0}
        assert process.returncode in allowed, stderr.decode()
        assert b"Traceback" not in stderr
        assert b"\x1b" not in stdout
        if name == "narrow":
            assert max(map(len, stdout.decode().splitlines())) <= 40 or arguments[0] != "validate"


def test_no_folder_for_what_numba_compiles(monkeypatch: pytest.MonkeyPatch) -> None:
    caching = pytest.importorskip("numba.core.caching")
    from axsim.kernels.jit import compiled

    monkeypatch.setattr(caching.FunctionCache._impl_class, "_locator_classes", [])

    def doubled(x: int) -> int:
        return 2 * x

    assert compiled(doubled)(21) == 42


def test_eight_threads_get_the_same_bits() -> None:
    workload = load_mapping(Workload, yaml.safe_load(base.tiny_text()), "tiny")

    def run(_: int) -> str:
        return json.dumps(axsim.run(workload, "ax630c").to_dict())

    expected = run(0)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(run, range(8))) == {expected}


@pytest.mark.skipif(sys.platform == "win32", reason="backslashes are separators there")
def test_paths_of_another_system(folder: Path) -> None:
    from tests.fuzz.bounded import outcome

    for name in (
        "C:\\w.yaml",
        "\\\\host\\share\\w.yaml",
        "a/b\\c.yaml",
        "file:///w.yaml",
        "~/w.yaml",
    ):
        found = outcome(["run", name, *TIMED[1:]], folder)
        assert found.code == 2
        assert not found.faults
        assert "no such file" in found.stderr or "no workload" in found.stderr
