"""Networks from ONNX files in every command but ``axsim run``."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import pytest

from axsim.fidelity.ledger import shipped_graphs
from tests.cli import command as cli
from tests.cli.small_network import small

onnx = pytest.importorskip("onnx")

FILE = shipped_graphs() / "squeezenet1_1.onnx"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a small network."""
    return small(tmp_path)


def test_an_explanation_speaks_of_a_network() -> None:
    out = cli.axsim("explain", FILE, "--chip", "ax630c").stdout
    assert "Input to result" in out
    assert "rompt" not in out
    out = cli.axsim("explain", FILE, "--chip", "ax650n", "--set", "build.vision_dtype=u16").stdout
    assert "activations in u8" in out


@pytest.mark.slow
def test_a_report_and_its_evidence(tmp_path) -> None:
    cli.axsim("report", FILE, "--chip", "ax630c", "--timing-only", "-o", "p.html", folder=tmp_path)
    page = (tmp_path / "p.html").read_text()
    assert "published measurements of ax630c" in page
    assert "C021" in page


def test_a_baseline_can_be_carried_elsewhere_and_notices_another_file(tmp_path) -> None:
    (tmp_path / "a").mkdir()
    small(tmp_path / "a")
    yaml = tmp_path / "a" / "models" / "small.yaml"
    cli.axsim("snapshot", yaml, "--chip", "ax630c", "-o", tmp_path / "a" / "base.json")
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    shutil.rmtree(tmp_path / "a")
    assert str(tmp_path) not in (tmp_path / "b" / "base.json").read_text()
    out = cli.axsim("check", tmp_path / "b" / "base.json").stdout
    assert "0 times moved" in out
    file = tmp_path / "b" / "models" / "small.onnx"
    model = onnx.load(str(file))
    model.doc_string = "another file"
    onnx.save(model, str(file))
    pinned = ("snapshot", file, "--chip", "ax630c", "--shape", "x=1x3x64x64", "-o", "base.json")
    cli.axsim(*pinned, folder=tmp_path / "b")
    model.graph.node[0].attribute[0].ints[:] = [0, 0, 0, 0]
    onnx.save(model, str(file))
    out = cli.axsim("check", "base.json", "--tolerance", "0.01", code=1, folder=tmp_path / "b")
    assert "model.onnx sha256" in out.stdout


def test_a_sweep_of_a_network(folder) -> None:
    options = ("--vary", "build.vision_dtype=u8,u16", "--shape", "x=1x3x64x64", "--timing-only")
    out = cli.axsim(
        "sweep", "models/small.onnx", "--chip", "ax630c", *options, "-j", 1, folder=folder
    ).stdout
    u8, u16 = csv.DictReader(out.splitlines())
    assert float(u8["graph_ms"]) < float(u16["graph_ms"])
    found = cli.axsim(
        "sweep", "models/small.onnx", "--chip", "ax630c", *options, "--checkpoint", ".",
        code=2, folder=folder,
    )  # fmt: skip
    assert "--checkpoint has no effect" in found.stderr


def test_what_a_file_holds_is_shown_and_two_files_are_compared(folder) -> None:
    out = cli.axsim("show", "models/small.onnx", "--shape", "x=1x3x8x8", folder=folder).stdout
    assert "1x3x8x8 f32" in out
    assert "2 Conv" in out
    assert "kv_cache_len" not in out
    out = cli.axsim("compare", "models/small.yaml", FILE, "--chip", "ax630c", folder=folder).stdout
    assert "graph_ms" in out
    out = cli.axsim("compare", "ax630c", "ax650n", "--workload", FILE).stdout
    assert "frames_per_s" in out
    found = cli.axsim("run", "internvl2_1b", "--chip", FILE, "--timing-only", code=2)
    assert "is a network, no chip" in " ".join(found.stderr.split())


def test_precision_by_operator_and_what_to_lift(folder) -> None:
    report = folder / "rows.json"
    options = ("--variant", "u8", "--target", "0.99985", "--chip", "ax630c", "-o", report)
    out = cli.axsim("precision", "models/small.yaml", *options, folder=folder).stdout
    document = json.loads(report.read_text())
    assert [row["operator"] for row in document["ends"]] == ["output y"]
    # what the Relu limits is stored as the Relu's result, and has no row of its own
    assert {row["operator"] for row in document["operators"]} == {"relu", "second", "end"}
    proposal = document["proposal"]
    assert proposal["met"]
    assert proposal["cosine"] >= 0.99985
    assert proposal["graph_ms"] <= proposal["lifted_graph_ms"] <= proposal["u16_graph_ms"]
    assert "graph_ms on ax630c, predicted" in out
    pasted = json.dumps(proposal["precision_overrides"])
    again = ("--set", f"build.precision_overrides={pasted}", "--variant", "u8", "-o", report)
    cli.axsim("precision", "models/small.yaml", *again, folder=folder)
    (end,) = json.loads(report.read_text())["ends"]
    assert end["cosine"] == pytest.approx(proposal["cosine"], abs=1e-9)


@pytest.mark.parametrize("quantised", [False, True])
def test_exported_networks_compute_the_same(quantised, folder) -> None:
    import numpy as np

    runtime = pytest.importorskip("onnxruntime")
    options = ("--variant", "u8", "-o", "out", *(["--quantized"] if quantised else []))
    cli.axsim("export", "models/small.yaml", *options, folder=folder)
    (file,) = (folder / "out").iterdir()
    assert file.name == f"small{'_quantized' * quantised}.onnx"
    x = {"x": np.random.default_rng(0).standard_normal((1, 3, 64, 64)).astype(np.float32)}
    found, expected = (
        runtime.InferenceSession(str(each)).run(None, x)[0]
        for each in (file, folder / "models" / "small.onnx")
    )
    if quantised:
        assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.99
    else:
        assert np.abs(found - expected).max() < 1e-6


@pytest.mark.slow
def test_a_report_shows_the_cosine_of_the_run(folder) -> None:
    network = (folder / "models" / "small.yaml", "--chip", "ax630c", "--variant", "u8")
    cli.axsim("run", *network, "--json", "r.json", folder=folder)
    cli.axsim("report", *network, "-o", "p.html", folder=folder)
    (variant,) = json.loads((folder / "r.json").read_text())["variants"]
    page = (folder / "p.html").read_text()
    assert "worst output" in page
    assert f"<b>{variant['numerics']['graph_cosine']:.4f}</b>" in page


COMMANDS = {
    "run": ("--chip", "ax630c", "--timing-only"),
    "explain": ("--chip", "ax630c"),
    "report": ("--chip", "ax630c", "--timing-only", "-o", "page.html"),
    "sweep": ("--chip", "ax630c", "--timing-only", "-j", "1"),
    "snapshot": ("--chip", "ax630c", "-o", "base.json"),
    "precision": (),
    "export": ("-o", "models_of_it"),
    "build": ("--chip", "ax630c", "-o", "built"),
    "show": (),
    "compare": ("ax650n", "ax630c"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_a_shape_and_an_end(command, folder) -> None:
    file = "models/small.onnx"
    named = ("--workload", file) if command == "compare" else (file,)
    words = (command, *COMMANDS[command], *named, "--shape", "x=1x3x16x16", "--cut", "b")
    cli.axsim(*words, folder=folder)
    found = cli.axsim(*words, "--cut", "bb", code=2, folder=folder)
    assert "output bb: models/small.onnx makes no tensor of that name" in found.stderr


def test_run_and_explain_and_the_page_name_what_is_waited_for_alike(folder) -> None:
    words = ("models/small.yaml", "--chip", "ax630c", "--variant", "u8")
    table = cli.axsim("run", *words, "--timing-only", folder=folder).stdout
    explained = cli.axsim("explain", *words, folder=folder).stdout
    cli.axsim("report", *words, "--timing-only", "-o", "p.html", folder=folder)
    page = (folder / "p.html").read_text()
    row = next(line for line in table.splitlines() if line.startswith("graph"))
    waits = re.findall(r"((?:CONV|TENG|DRAM|SDMA|host CPU|start and end) \d+%)", row)
    assert len(waits) == 2
    plain = " ".join(explained.split())
    for each in waits:
        assert each in plain
        assert each in page
    assert "convolution" in plain


def test_long_names_of_operators_keep_their_ends_at_80_columns(folder) -> None:
    model = onnx.load(str(folder / "models" / "small.onnx"))
    for node in model.graph.node:
        node.name = f"/model/backbone/stage/block/{node.name}/with/a/long/path/{node.name}"
    onnx.save(model, str(folder / "models" / "small.onnx"))
    rows = folder / "rows.json"
    words = ("precision", "models/small.yaml", "-o", rows)
    out = cli.axsim(*words, folder=folder).stdout
    lines = out.splitlines()
    assert max(map(len, lines)) <= 80
    shown = {line.split()[0] for line in lines if line.startswith("…")}
    assert {name.rpartition("/")[2] for name in shown} == {"relu", "second", "end"}
    assert "--output" in out
    whole = {row["operator"] for row in json.loads(rows.read_text())["operators"]}
    assert all(len(name) > 40 for name in whole)
