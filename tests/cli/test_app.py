"""The command line, as a person uses it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import pytest
from typer.main import get_command

from axsim.cli.app import app
from axsim.cli.command import takes_path
from axsim.spec.descriptor import shipped
from tests.cli.command import axsim, process

COMMANDS = [command.name for command in app.registered_commands]


def test_help_lists_every_command() -> None:
    text = axsim("--help").output
    assert all(name in text for name in COMMANDS)
    assert axsim("-h").output == text


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_each_command_ends_with_an_example(name: str) -> None:
    lines = axsim(name, "--help").output.rstrip().splitlines()
    last = lines[-1].split()
    assert last[:2] == ["axsim", name]
    assert any(line.strip() in ("Example:", "Examples:") for line in lines)


def test_version() -> None:
    assert axsim("--version").output.split()[0] == "axsim"


def test_a_value_that_is_none_of_an_options_is_told_with_the_nearest() -> None:
    told = axsim("exec", "--vnpu", "big_little", "x.py", code=2).output
    assert "--vnpu': 'big_little' is not one of 'disabled'," in told
    assert "Did you mean 'big-little'?" in told
    assert "mean" not in axsim("exec", "--vnpu", "xyz", "x.py", code=2).output


def test_no_arguments_show_the_help(tmp_path: Path) -> None:
    result = process(folder=tmp_path, code=2)
    assert "Usage: axsim" in result.stdout + result.stderr


@pytest.mark.parametrize("kind", ["chip", "workload"])
def test_what_is_shipped_is_listed(kind: str) -> None:
    text = axsim(f"{kind}s").output
    assert all(name in text for name in shipped(kind))


@pytest.mark.parametrize("name", [*shipped("chip"), *shipped("workload")])
def test_everything_shipped_can_be_shown(name: str) -> None:
    text = axsim("show", name).output
    assert name in text.splitlines()[0]
    assert "what the chip is" in text or "what this workload is for" in text


def test_show_tells_meaning_and_source_of_each_key() -> None:
    lines = axsim("show", "internvl2_1b", "--set", "request.new_tokens=5").output.splitlines()
    assert lines[2].startswith("InternVL2-1B as the vendor deploys it")
    rows = {line.split()[0]: n for n, line in reversed([*enumerate(lines)]) if line.split()}

    def block(key: str) -> str:
        return " ".join(" ".join(lines[rows[key] : rows[key] + 3]).split())

    assert block("new_tokens:").startswith("new_tokens: 5 ")
    assert "--set request.new_tokens=5" in block("new_tokens:")
    assert block("num_channels:").startswith(
        "num_channels: 3 colour channels of the image; default"
    )
    assert "options of the vendor's llm_build" in block("build:")
    assert "310" in lines[rows["448-u8"]]


def test_show_takes_chip_keys_with_and_without_their_prefix() -> None:
    for key in ("dram.width_bits", "chip.dram.width_bits"):
        text = axsim("show", "ax650n", "--set", f"{key}=0", code=2).stderr
        assert f"--set {key}=0: dram.width_bits: found 0; allowed: a number greater than 0" in text


def single_options() -> list[tuple[str, str, bool]]:
    """Every option of every command that holds one value, and whether it is a flag."""
    found = []
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        for each in command.params:
            if each.param_type_name == "option" and not each.multiple and not each.is_eager:
                found += [(name, option, each.is_flag) for option in each.opts]
    return found


def test_an_option_of_one_value_is_given_once() -> None:
    """The last one would win without a word."""
    assert ("run", "--prompt", False) in single_options()
    assert ("run", "--chip", False) in single_options()
    assert not any(option in ("--set", "--image") for _, option, _ in single_options())
    for name, option, flag in single_options():
        once = [option] if flag else [option, "1"]
        result = axsim(name, *once, *once, code=2)
        assert "is given twice; it takes one value" in result.stderr, (name, option)


def test_an_empty_path_is_none() -> None:
    """It would be the folder that one is in."""
    found = [
        (name, each.opts[0])
        for name, command in get_command(app).commands.items()  # type: ignore[attr-defined]
        for each in command.params
        if takes_path(each)
    ]
    assert {("export", "--output"), ("run", "--trace"), ("show", "--json")} < {*found}
    assert {("sweep", "--plot"), ("build", "--folder"), ("run", "--image")} < {*found}
    for name, option in found:
        told = axsim(name, option, "", code=2).stderr
        assert f"{option} is given an empty path; it takes a name" in told, (name, option)


@pytest.mark.parametrize(
    ("name", "option", "right"),
    [
        ("run", "--json", ".json"),
        ("run", "--csv", ".csv"),
        ("run", "--trace", ".json"),
        ("simulate", "--csv", ".csv"),
        ("simulate", "--trace", ".json"),
        ("simulate", "--report", ".html"),
        ("report", "--output", ".html"),
        ("validate", "--json", ".json"),
        ("snapshot", "--output", ".json"),
        ("calibrate", "--output", ".yaml"),
        ("calibrate", "--left-out", ".csv"),
        ("ledger", "--output", ".csv"),
        ("ledger", "--models", ".yaml"),
        ("import", "--output", ".yaml"),
        ("precision", "--output", ".csv"),
        ("sweep", "--output", ".parquet"),
        ("sweep", "--plot", ".png"),
    ],
)
def test_a_suffix_that_promises_another_format_is_refused(name, option, right) -> None:
    fixed = (name, option) not in [("precision", "--output"), ("sweep", "--output")]
    fixed &= option != "--plot"
    what = {"simulate": "two_models", "ledger": "x.log", "import": "x"}.get(name, "internvl2_1b")
    first = [] if name == "validate" else ["ax650n" if name == "calibrate" else what]
    chip = ["--chip", "ax650n"] if name in ("run", "sweep", "snapshot", "report", "ledger") else []
    wrong = ".npz.gz", ".zip"
    for suffix in wrong if fixed else wrong[1:]:
        told = " ".join(axsim(name, *first, *chip, option, f"a{suffix}", code=2).stderr.split())
        assert f"a{suffix}" in told
        assert right in told.replace("│", "").partition("allowed: ")[2]


def test_a_suffix_of_the_format_or_of_none_is_taken(tmp_path: Path) -> None:
    for name in (names := ("a.json", "b.JSON", "c.json.gz", "d", "e.v2")):
        axsim("chips", "--json", name, folder=tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {*names}


WRONG = [
    (
        ["show", "ax650"],
        "error: no chip, board, workload, scenario or file is named 'ax650'; did you mean "
        "'ax650n'?",
    ),
    (
        ["show", "nowhere/x.yaml"],
        "error: no chip, board, workload, scenario or file is named 'nowhere/x.yaml'",
    ),
    (["show", "internvl2_1b", "--set", "build"], "error: --set build: not an assignment"),
    (
        ["show", "internvl2_1b", "--set", "request.seed=1", "--set", "request.seed=2"],
        "error: --set request.seed=2: request.seed: is set twice; allowed: one value for a key",
    ),
    (["show", "internvl2_1b", "--set", "build.x=1"], "error: --set build.x=1: build.x: unknown"),
    (["shwo"], "shwo"),
    (["show"], "NAME"),
    (["show", "ax650n", "--sett", "a=1"], "--sett"),
]


@pytest.mark.parametrize(("arguments", "message"), WRONG)
def test_wrong_input_is_told_on_stderr_with_status_2(arguments: list[str], message: str) -> None:
    result = axsim(*arguments, code=2)
    assert result.stdout == ""
    assert message in result.stderr


@pytest.mark.parametrize(("arguments", "message"), WRONG[3::3])
def test_a_process_ends_on_wrong_input_with_status_2_and_no_traceback(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    result = process(*arguments, folder=tmp_path, code=2)
    assert result.stdout == ""
    assert message in result.stderr
    assert "Traceback" not in result.stderr


def test_a_broken_file_of_ones_own(tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text("name: x\nmodel: {}\nbild: {}\n")
    result = axsim("show", "w.yaml", folder=tmp_path, code=2)
    assert result.stderr.splitlines() == [
        "error: w.yaml:2: model: holds neither part; allowed: vision, decoder or both",
        "error: w.yaml:3: bild: unknown key (value found: {}); did you mean 'build'?; allowed: "
        "name, description, model, build, request, variants",
    ]


def test_a_file_of_ones_own_is_known_by_its_keys(tmp_path: Path) -> None:
    chip = shipped("chip")["ax650n"].read_text()
    (tmp_path / "mine.yaml").write_text(chip.replace("\nname: ax650n", "\nname: mine_too"))
    result = axsim("show", "mine.yaml", folder=tmp_path)
    assert result.stdout.startswith("chip mine: mine.yaml\n")
    assert "mine_too" in result.stdout


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    script = (
        "import sys; from axsim.cli import main\n"
        "sys.argv[1:] = ['--help']\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'numpy', 'pydantic', 'yaml', 'rich', 'pandas', 'scipy', 'onnx'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert result.stderr.strip() == "[]"


def test_the_list_of_commands_has_whole_sentences() -> None:
    _, commands = axsim("--help").stdout.split("Commands:")
    assert "..." not in commands


def test_what_another_command_takes_is_told_so(tmp_path) -> None:
    err = axsim("run", "camera_answers", "--chip", "ax630c", code=2).stderr
    assert "it is a scenario: axsim simulate camera_answers" in err
    err = axsim("simulate", "internvl2_1b", "--chip", "ax630c", code=2).stderr
    assert "it is a workload: axsim run internvl2_1b" in err
    (tmp_path / "net.onnx").touch()
    err = axsim("simulate", "net.onnx", "--chip", "ax630c", code=2, folder=tmp_path).stderr
    assert "'net.onnx' is a network, no scenario" in err
    err = axsim("run", "internvl2", "--chip", "ax630c", code=2).stderr
    assert "did you mean 'internvl2_1b'" in err


def test_a_board_is_held_against_what_was_measured_on_its_chip() -> None:
    out = axsim("run", "internvl2_1b", "--board", "maixcam2", "--timing-only").stdout
    assert "measured  145.0" in out


def test_a_version_without_its_prefix_is_known() -> None:
    words = ("run", "qwen3_0_6b", "--chip", "ax630c", "--timing-only")
    err = axsim(*words, "--set", "build.toolchain=3.3", code=2).stderr
    assert "did you mean 'pulsar2-3.3'" in err


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (BrokenProcessPool("a process was terminated"), "error: a process was terminated\n"),
        (MemoryError("8 GiB"), "error: this machine's memory does not hold it: 8 GiB\n"),
    ],
)
def test_lost_workers_and_memory_are_one_line(monkeypatch, error, said) -> None:
    def fails(*arguments: object) -> None:
        raise error

    monkeypatch.setattr("axsim.spec.descriptor.shipped", fails)
    assert axsim("chips", code=1).stderr == said
