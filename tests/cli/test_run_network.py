"""``axsim run`` with a network from an ONNX file."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from axsim.fidelity.ledger import shipped_graphs
from tests.cli import command as cli

onnx = pytest.importorskip("onnx")

run = partial(cli.axsim, "run")
FILE = shipped_graphs() / "squeezenet1_1.onnx"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small network with a dynamic input, and a workload that names it."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Conv", ["b", "v"], ["c"], "second", pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["c"], ["y"], "end"),
    ]
    weights = []
    for name, shape in (("w", (32, 3, 3, 3)), ("v", (32, 32, 3, 3))):
        size = shape[0] * shape[1] * 9
        values = [0.1 * ((7 * i) % 11 - 5) for i in range(size)]
        weights.append(helper.make_tensor(name, TensorProto.FLOAT, shape, values))
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 32, "h", "w"])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    (tmp_path / "models").mkdir()
    onnx.save(model, str(tmp_path / "models" / "small.onnx"))
    (tmp_path / "models" / "small.yaml").write_text(
        "name: small\n"
        "model: {onnx: small.onnx, shapes: {x: [1, 3, 64, 64]}}\n"
        "build: {npu_mode: NPU1}\n"
        "variants:\n"
        + "".join(
            f"- {{name: {each}, set: {{build.vision_dtype: {each}}}}}\n"
            for each in ("u8", "u16", "bf16")
        )
    )
    return tmp_path


def graph_ms(*arguments: object, folder: Path | None = None) -> float:
    found = run(*arguments, "--timing-only", "--json", "-", folder=folder)
    variant = json.loads(found.stdout)["variants"][0]
    return variant["predictions"]["graph_ms"]["value"]


def test_an_onnx_file_is_a_workload() -> None:
    out = run(FILE, "--chip", "ax650n", "--timing-only").stdout
    assert out.startswith("squeezenet1_1 on ax650n, NPU3")
    for shown in ("graph", "frames", "memory, MiB: weights 1 (graph 1)", "DRAM traffic, MB"):
        assert shown in out
    document = json.loads(run(FILE, "--chip", "ax650n", "--timing-only", "--json", "-").stdout)
    (variant,) = document["variants"]
    predictions = variant["predictions"]
    assert set(predictions) == {"graph_ms", "frames_per_s"}
    ms, frames = (predictions[name]["value"] for name in ("graph_ms", "frames_per_s"))
    assert frames == pytest.approx(1e3 / ms)
    (stage,) = variant["breakdown"]
    assert stage["stage"] == "graph"
    assert sum(stage["by_operator_ms"].values()) == pytest.approx(ms)


def test_fewer_resource_groups_take_longer() -> None:
    one = graph_ms(FILE, "--chip", "ax650n", "--set", "build.npu_mode=NPU1")
    assert one > 1.5 * graph_ms(FILE, "--chip", "ax650n")


def test_a_workload_names_a_file_beside_itself_and_runs_in_every_dtype(folder) -> None:
    out = run("models/small.yaml", "--chip", "ax630c", "--json", "-", folder=folder).stdout
    variants = {each["name"]: each for each in json.loads(out)["variants"]}
    cosine = {name: each["numerics"]["graph_cosine"] for name, each in variants.items()}
    assert not variants["u8"]["numerics"]["synthetic"]  # the file has values
    assert 0.99 < cosine["u8"] < cosine["u16"] <= 1
    assert 0.99 < cosine["bf16"] < 1
    ms = {name: each["predictions"]["graph_ms"]["value"] for name, each in variants.items()}
    assert ms["u8"] < ms["u16"]


def test_weights_that_the_file_lacks_are_seeded_and_said_so(tmp_path) -> None:
    out = run(FILE, "--chip", "ax650n").stdout
    assert "on synthetic weights" in out
    assert "cosine" in out


def test_dynamic_dimensions_are_asked_for_and_given(folder) -> None:
    small = ("models/small.onnx", "--chip", "ax630c")
    found = run(*small, "--timing-only", code=2, folder=folder)
    assert "--shape x=1x3x1x1" in found.stderr.replace("\n", " ")
    near = graph_ms(*small, "--shape", "x=1x3x64x64", folder=folder)
    assert graph_ms(*small, "--shape", "x=1x3x256x256", folder=folder) > 3 * near


def test_an_output_cuts_the_rest_off(folder) -> None:
    small = ("models/small.yaml", "--chip", "ax630c", "--set", "model.shapes.x=[1,3,512,512]")
    whole = graph_ms(*small, folder=folder)
    assert graph_ms(*small, "--output", "a", folder=folder) < whole


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((FILE, "--set", "request.new_tokens=3"), "has no effect on a network"),
        ((FILE, "--set", "build.kv_cache_len=99"), "has no effect on a network"),
        ((FILE, "--shape", "image=1x3x64x64"), "no input of that name"),
        ((FILE, "--shape", "images=large"), "not NAME=1x3x640x640"),
        ((FILE, "--output", "nowhere"), "no tensor of that name"),
        (("nowhere.onnx",), "no such file"),
        (("text.onnx",), "is no ONNX model"),
        (("gone.yaml",), "no such file"),
        (("internvl2_1b", "--output", "x"), "belongs to an ONNX file"),
        (("mixed.yaml",), "has no place beside an ONNX file"),
    ],
)
def test_one_message_for_what_does_not_apply(arguments, message, tmp_path) -> None:
    (tmp_path / "text.onnx").write_text("hello")
    (tmp_path / "gone.yaml").write_text("name: gone\nmodel: {onnx: gone.onnx}\n")
    (tmp_path / "mixed.yaml").write_text("name: m\nmodel: {onnx: text.onnx, vocab_size: 9}\n")
    name, *rest = arguments
    found = run(name, "--chip", "ax650n", "--timing-only", *rest, code=2, folder=tmp_path)
    assert message in " ".join(found.stderr.replace("│", " ").split())


@pytest.mark.parametrize("option", [("--checkpoint", "."), ("--images", ".")])
def test_weights_and_pictures_are_the_files_own(option, tmp_path) -> None:
    found = run(FILE, "--chip", "ax650n", *option, code=2, folder=tmp_path)
    assert "is a network from an ONNX file" in found.stderr


def test_timing_needs_no_onnxruntime() -> None:
    code = (
        "import sys; sys.modules['onnxruntime'] = None; import axsim; "
        f"print(axsim.run({str(FILE)!r}, chip='ax630c', timing_only=True)[0].graph_ms.value)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert float(found.stdout) > 0


@pytest.mark.parametrize("command", [("precision",), ("export", "-o", "out")])
def test_commands_for_other_workloads_say_so(command, tmp_path) -> None:
    name, *rest = command
    found = cli.axsim(name, FILE, *rest, code=2, folder=tmp_path)
    assert "is a network from an ONNX file" in found.stderr


@pytest.mark.parametrize("command", ["explain", "snapshot", "report"])
def test_other_commands_take_networks(command, tmp_path) -> None:
    options = {
        "explain": (),
        "snapshot": ("-o", "base.json"),
        "report": ("--timing-only", "-o", "page.html"),
    }[command]
    cli.axsim(command, FILE, "--chip", "ax630c", *options, folder=tmp_path)
    assert len(list(tmp_path.iterdir())) == (command != "explain")
