"""``axsim simulate`` as people type it."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from axsim.cli.app import app
from tests.runs.tiny import write


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    write(tmp_path)
    model = {"workload": "tiny.yaml", "variant": "u8"}
    tenants = {
        "camera": {"camera": {"size": "640x480", "fps": 50, "pattern": "bursts"}},
        "detector": {**model, "partition": "one", "arrivals": {"fps": 60}, "deadline_ms": 7},
        "answer": {**model, "partition": "other", "arrivals": {"poisson_per_s": 40}},
        "tracker": {"cpu": {"ms": 2, "every_ms": 20}},
    }
    document = {
        "name": "mine", "description": "a test", "chip": "ax650n", "duration_s": 0.15,
        "partitions": {"one": "NPU1", "other": "NPU1"}, "tenants": tenants,
    }  # fmt: skip
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document, sort_keys=False))
    return path


def typed(*words: Any) -> Any:
    return CliRunner().invoke(app, ["simulate", *map(str, words)])


def test_what_it_prints(scenario: Path) -> None:
    result = typed(scenario, "--costs")
    assert result.exit_code == 0, result.output
    text = result.output
    assert "mine on ax650n (one NPU1, other NPU1): 0.15 s, seed 0" in text
    assert " 9 " in text  # frames in the time
    for word in ("detector", "answer", "late¹", "× 1.0", "TTFT³", "decode step", "NPU one",
                 "DRAM", "memory:", "because of", "tracker"):  # fmt: skip
        assert word in text
    assert max(map(len, text.splitlines())) <= 80


def test_columns_that_nobody_has_are_left_out(scenario: Path) -> None:
    """Without deadlines nobody is late, here and over seeds."""
    keys = ("--set", "tenants.detector.deadline_ms=null", "--duration", "20ms")
    for words in ((), ("--seeds", 2, "-j", 1)):
        assert re.search(r"\blate(\b|¹)", typed(scenario, "--duration", "20ms", *words).stdout)
        result = typed(scenario, *keys, *words)
        assert result.exit_code == 0, result.output
        assert not re.search(r"\blate(\b|¹)", result.stdout)


def test_percentiles_of_few_are_left_out(scenario: Path) -> None:
    text = typed(scenario).output
    (row,) = [line for line in text.splitlines() if line.startswith("detector latency")]
    assert row.split()[2] == "9"
    assert [cell == "–" for cell in row.split()[3:]] == [False, False, True, True, True, False]
    assert "– of so few that it is the longest" in text


def test_energy_where_the_chip_says_what_it_draws(scenario: Path, tmp_path: Path) -> None:
    keys = ("idle_w=1.5", "conv_w=0.5", "cpu_w=0.3", "dram_pj_per_byte=40", "source=a meter")
    words = [word for key in keys for word in ("--set", f"chip.power.{key}")]
    result = typed(scenario, *words, "--csv", tmp_path / "a.csv")
    assert result.exit_code == 0, result.output
    for word in ("mJ a request⁵", "idle chip", "in all", "100.0%", "the power block of ax650n",
                 "a meter"):  # fmt: skip
        assert word in result.output
    assert max(map(len, result.output.splitlines())) <= 80
    rows = list(csv.DictReader((tmp_path / "a.csv").open()))
    assert all(float(row["energy_per_token_mj"]) > 0 for row in rows)
    without = typed(scenario)
    assert "energy" not in without.output


def test_requests_that_never_come_are_told(scenario: Path, tmp_path: Path) -> None:
    (tmp_path / "late.csv").write_text("ms\n9000\n")
    text = scenario.read_text().replace("poisson_per_s: 40", "csv: late.csv")
    scenario.write_text(text)
    result = typed(scenario)
    told = "answer is asked nothing: its first request comes at 9 s, the run ends at 0.15 s"
    assert told in " ".join(result.output.split())
    assert told in json.loads(typed(scenario, "--json", "-").stdout)["notes"]


@pytest.mark.slow
def test_keys_without_effect_are_told(scenario: Path) -> None:
    words = (scenario, "--duration", "20ms", "--set", "tenants.detector.priority=3")
    result = typed(*words, "--set", "tenants.detector.deadline_ms=9", "--seed", 4)
    assert result.exit_code == 0, result.output
    told = [line for line in result.stderr.splitlines() if line.startswith("note: ")]
    assert told == [
        "note: tenants.detector.priority=3 has no effect here: times, memory and numbers are the "
        "same without it"
    ]
    scenario.write_text(scenario.read_text().replace("poisson_per_s: 40", "every_ms: 20"))
    seed = typed(scenario, "--duration", "20ms", "--seed", 4)
    assert "note: seed=4 has no effect here" in seed.stderr
    assert typed(scenario, "--duration", "20ms", "--seed", 4, "-q").stderr == ""
    seeds = typed(scenario, "--seeds", 3)
    assert (seeds.exit_code, "nothing here is at random" in seeds.output) == (2, True)


def test_files(scenario: Path, tmp_path: Path) -> None:
    names = ("a.json", "a.csv", "a.trace.json", "a.png")
    out = [tmp_path / name for name in names]
    options = zip(("--json", "--csv", "--trace", "--plot"), out, strict=True)
    result = typed(scenario, "-q", "--seed", 3, *(word for pair in options for word in pair))
    assert result.exit_code == 0, result.output
    assert result.output == ""
    document = json.loads(out[0].read_text())
    assert document["seed"] == 3
    assert [each["tenant"] for each in document["tenants"]] == [
        "camera", "detector", "answer", "tracker",
    ]  # fmt: skip
    detector = document["tenants"][1]
    assert detector["requests"] == detector["finished"] == 9
    rows = list(csv.DictReader(out[1].open()))
    assert [row["tenant"] for row in rows] == ["detector", "answer"]
    assert float(rows[0]["latency_p95_ms"]) == detector["latency_ms"]["p95"]
    assert json.loads(out[2].read_text())["traceEvents"]
    assert out[3].read_bytes()[:4] == b"\x89PNG"


def test_a_table_without_rows_has_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "display.yaml"
    path.write_text("{name: d, duration_s: 0.1, tenants: {d: {display: 640x480@60 nv12}}}")
    result = typed(path, "--chip", "ax650n", "--csv", tmp_path / "d.csv", "-q")
    assert result.exit_code == 0, result.output
    header = (tmp_path / "d.csv").read_text()
    assert header.startswith("scenario,chip,seed,tenant,requests,")
    assert header.count("\n") == 1


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        pytest.param("latency", "requests that took no longer", marks=pytest.mark.slow),
        ("timeline", "Who does what when"),
        pytest.param("utilisation", "DRAM traffic, GB/s", marks=pytest.mark.slow),
    ],
)
def test_every_picture(kind: str, expected: str, scenario: Path, tmp_path: Path) -> None:
    import matplotlib

    path = tmp_path / "a.svg"
    words: tuple[Any, ...] = (scenario, "-q", "--plot", path, "--plot-kind", kind)
    words += ("--window", "50ms..60ms") if kind == "timeline" else ()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        assert typed(*words, "--duration", "0.1s").exit_code == 0
    assert expected in path.read_text()


def test_keys_time_and_stdout(scenario: Path) -> None:
    words = (scenario, "--duration", "100ms", "--set", "tenants.detector.arrivals.fps=30")
    result = typed(*words, "--set", "chip.cpu.cores=2", "--json", "-")
    document = json.loads(result.output)
    assert document["duration_s"] == 0.1
    assert document["tenants"][1]["requests"] == 3
    tracker = document["tenants"][3]["cpu_core_ms"] / document["duration_s"] / 1e3
    assert document["busy"]["cpu"] >= tracker / 2 * 0.9


def test_seeds_are_a_sweep(scenario: Path, tmp_path: Path) -> None:
    out, rows = tmp_path / "a.json", tmp_path / "a.csv"
    words = (scenario, "--duration", "0.1s", "-j", 1)
    result = typed(*words, "--seeds", 3, "--json", out, "--csv", rows)
    assert result.exit_code == 0, result.output
    document = json.loads(out.read_text())
    assert document["seeds"] == [1, 2, 3]
    found = {(each["tenant"], each["what"]): each for each in document["estimates"]}
    requests = found["answer", "requests"]
    values = [int(row["answer.requests"]) for row in csv.DictReader(rows.open())]
    assert requests["mean"] == pytest.approx(sum(values) / 3)
    assert found["detector", "requests"]["half_width"] == 0
    assert "latency p95, ms" in result.output
    assert "90 % confidence interval" in result.output


@pytest.mark.slow
def test_seeds_on_a_dask_cluster(scenario: Path, tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed")
    words = (scenario, "--duration", "0.1s", "--seeds", 8, "-q")
    here, there = tmp_path / "here.csv", tmp_path / "there.csv"
    assert typed(*words, "-j", 2, "--csv", here).exit_code == 0
    options = {"n_workers": 2, "threads_per_worker": 1, "host": "127.0.0.1"}
    with distributed.LocalCluster(**options, dashboard_address=None) as cluster:
        result = typed(*words, "--scheduler", cluster.scheduler_address, "--csv", there)
    assert result.exit_code == 0, result.output
    assert there.read_bytes() == here.read_bytes()
    assert len(list(csv.DictReader(there.open()))) == 8


def test_a_sweep_answers_in_words_and_a_picture(scenario: Path, tmp_path: Path) -> None:
    """The scenario names its chip."""
    words = [
        "sweep", str(scenario), "-j", "1", "-q", "--plot", str(tmp_path / "a.png"),
        "--vary", "tenants.detector.arrivals.fps=20,60,900", "--set", "duration_s=0.1",
        "--objective", "max:tenants.detector.arrivals.fps",
        "--constraint", "detector.latency_p95_ms<=20",
    ]  # fmt: skip
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    first, second, *_ = result.stdout.splitlines()
    assert first.startswith(
        "tenants.detector.arrivals.fps can be up to 60 with detector.latency_p95_ms <= 20; then "
        "detector.latency_p95_ms is "
    )
    assert "; at 900 there is an error: " in first
    assert second.startswith("detector.latency_p95_ms is the longest of 6 requests only")
    assert (tmp_path / "a.png").read_bytes()[:4] == b"\x89PNG"
    missing = CliRunner().invoke(app, ["sweep", str(scenario), "--vary", "chip=ax630c"])
    assert missing.exit_code == 2
    assert "--chip NAME" in missing.output


def test_sweeps_take_scenarios(scenario: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    words = [
        "sweep", str(scenario), "--chip", "ax650n", "-j", "1", "-q", "-o", str(out),
        "--vary", "tenants.detector.arrivals.fps=20,60,900", "--set", "duration_s=0.1",
        "--vary", "tenants.answer.set.build.vision_dtype=u8,u16",
        "--objective", "max:tenants.detector.arrivals.fps",
        "--constraint", "detector.latency_p95_ms<=20",
    ]  # fmt: skip
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    assert f"axsim simulate {scenario} --chip ax650n" in result.output
    assert "--set tenants.detector.arrivals.fps=60" in result.output
    assert "…" not in result.output
    rows = list(csv.DictReader(out.open()))
    assert len(rows) == 6
    assert [row["error"] != "" for row in rows] == [False] * 4 + [True] * 2
    assert "can never be stable" in rows[5]["error"]
    typo = [word.replace("detector.arrivals", "detectr.arrivals") for word in words]
    result = CliRunner().invoke(app, typo)
    assert result.exit_code == 2
    assert "did you mean 'detector'?" in result.output
    unknown = [*words[:-2], "--constraint", "detector.latency_p96_ms<=3"]
    result = CliRunner().invoke(app, unknown)
    assert result.exit_code == 2
    assert "did you mean 'detector.latency_p9" in result.output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--chip", "ax630c", "--set", "partitions.one=NPU3"], "has no NPU mode 'NPU3'"),
        (["--set", "tenants.detector.arrivals.fps=5000"], "can never be stable"),
        (["--set", "tenants.detectr.deadline_ms=5"], "did you mean 'detector'?"),
        (["--set", "tenants.answer.set.build.vision_dtype=u61"], "did you mean 'u16'?"),
        (["--duration", "soon"], "--duration: found 'soon'; allowed: a time, such as 60s"),
        (["--window", "2s"], "--window: found '2s'; allowed: FROM..TO"),
        (["--seeds", "2", "--plot", "a.png"], "--plot is of one simulation"),
        (["--seeds", "9" * 9], "seeds: found 999999999; allowed: how many, up to 100,000"),
        (["--seeds", "2", "--seed", "1"], "--seed is of one simulation"),
        (["--seeds", "2", "--overload"], "--overload is of one simulation"),
        (["--window", "2s..3s"], "--window is for --trace, --report and --plot-kind timeline"),
        (["--window", "2s..3s", "--trace", "-"], "window: begins at 2 s; allowed: before 0.15 s"),
        (["--jobs", "2"], "--jobs and --scheduler are for --seeds"),
        (["--json", "-", "--csv", "-"], "only one of --json"),
        (["--chip", "ax650n", "--board", "x"], "--chip and --board"),
        (["--plot-kind", "timeline"], "--plot-kind is for a picture: --plot FILE"),
        (["--plot", "a.jpg"], "cannot draw a.jpg"),
    ],
)
def test_bad_input(words: list[str], expected: str, scenario: Path) -> None:
    result = typed(scenario, *words)
    assert result.exit_code == 2, result.output
    assert expected in " ".join(result.output.replace("│", " ").split())
    assert "Traceback" not in result.output


def test_overload_can_be_meant(scenario: Path) -> None:
    words = (scenario, "--set", "tenants.detector.arrivals.fps=900", "--duration", "50ms")
    assert typed(*words).exit_code == 2
    result = typed(*words, "--overload")
    assert result.exit_code == 0, result.output


def test_a_scenario_without_a_chip_wants_one(scenario: Path) -> None:
    scenario.write_text(scenario.read_text().replace("chip: ax650n\n", ""))
    assert "chip: missing" in typed(scenario).output
    assert typed(scenario, "--chip", "ax650n", "-q").exit_code == 0


@pytest.mark.slow
def test_a_report_of_a_scenario(scenario: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.html"
    words = ["report", str(scenario), "--chip", "ax650n", "--seed", "2", "-o", str(out)]
    result = CliRunner().invoke(app, [*words, "--set", "duration_s=0.05"])
    assert result.exit_code == 0, result.output
    page = out.read_text()
    assert "0.05 s, seed 2." in page
    assert f"axsim report {scenario} --chip ax650n --set duration_s=0.05 --set seed=2" in page
    assert "What each tenant costs the others" in page
    assert page.count("<svg") == 3
    simulated = tmp_path / "b.html"
    (tmp_path / "late.csv").write_text("ms\n9000\n")
    late = f"csv={tmp_path}/late.csv", "poisson_per_s=null"
    changes = "chip.power.idle_w=1.5", *(f"tenants.answer.arrivals.{each}" for each in late)
    keys = [word for each in changes for word in ("--set", each)]
    assert "idle chip" not in page
    assert typed(scenario, "-q", "--report", simulated, *keys).exit_code == 0
    page = simulated.read_text()
    assert "detector (tiny) answers" in page
    assert "all 9 took up to" in page
    assert "answer is asked nothing: its first request comes at 9 s" in page
    assert "idle chip" in page


def test_on_a_board() -> None:
    result = typed("three_models", "--board", "nowhere")
    assert result.exit_code == 2
    assert "no board is named 'nowhere'" in result.output


@pytest.mark.slow
def test_the_readme_shows_what_is_printed() -> None:
    printed = typed("camera_answers", "--chip", "ax630c").output
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    table = "\n".join(line.rstrip() for line in printed.partition("\nmemory")[0].splitlines())
    assert table.rstrip() in readme
