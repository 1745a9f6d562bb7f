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
from tests.cli.small_network import small

onnx = pytest.importorskip("onnx")

run = partial(cli.axsim, "run")
FILE = shipped_graphs() / "squeezenet1_1.onnx"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a small network."""
    return small(tmp_path)


def graph_ms(*arguments: object, folder: Path | None = None) -> float:
    found = run(*arguments, "--timing-only", "--json", "-", folder=folder)
    variant = json.loads(found.stdout)["variants"][0]
    return variant["predictions"]["graph_ms"]["value"]


def test_an_onnx_file_is_a_workload() -> None:
    out = run(FILE, "--chip", "ax650n", "--timing-only").stdout
    assert out.startswith("squeezenet1_1 on ax650n, NPU3")
    for shown in ("graph", "frames", "memory, MiB: weights 1.2 (graph 1.2)", "DRAM traffic, MB"):
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
    assert "--shape x=1x3x640x640" in found.stderr.replace("\n", " ")
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
        ((FILE, "--shape", "images=1x3x" + "9" * 5000), "not NAME=1x3x640x640"),
        ((FILE, "--shape", "images=1x3x64x64", "--shape", "images=1x3x32x32"), "is given twice"),
        ((FILE, "--output", "nowhere"), "no tensor of that name"),
        (("nowhere.onnx",), "no such file"),
        (("text.onnx",), "is no ONNX model"),
        (("gone.yaml",), "no such file"),
        (("internvl2_1b", "--output", "x"), "--output x: belongs to an ONNX file"),
        (("internvl2_1b", "--shape", "x=1x2"), "--shape x=1x2: belongs to an ONNX file"),
        ((FILE, "--pulsar2", "none.json"), "no such file"),
        ((FILE, "--checkpoint", "."), "--checkpoint has no effect"),
        ((FILE, "--image", "dog.png"), "--image needs the kernels"),
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


def test_timing_needs_no_onnxruntime() -> None:
    code = (
        "import sys; sys.modules['onnxruntime'] = None; import axsim; "
        f"print(axsim.run({str(FILE)!r}, chip='ax630c', timing_only=True)[0].graph_ms.value)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert float(found.stdout) > 0


def test_a_network_is_measured_and_vouched_for() -> None:
    out = run(FILE, "--chip", "ax650n", "--timing-only").stdout
    assert "measured" in out
    assert "no graph was measured" not in out
    document = json.loads(run(FILE, "--chip", "ax650n", "--timing-only", "--json", "-").stdout)
    prediction = document["variants"][0]["predictions"]["graph_ms"]
    assert prediction["measured"]["ids"] == ["C010"]
    assert prediction["extrapolated"] is None
    wide = ("--set", "build.vision_dtype=u16", "--timing-only", "--json", "-")
    prediction = json.loads(run(FILE, "--chip", "ax650n", *wide).stdout)["variants"][0]
    prediction = prediction["predictions"]["graph_ms"]
    assert prediction["measured"] is None
    assert "u16" in prediction["extrapolated"]


def test_a_batch_is_so_many_frames() -> None:
    options = (FILE, "--chip", "ax650n", "--timing-only", "--json", "-")
    four = json.loads(run(*options, "--shape", "images=4x3x227x227").stdout)["variants"][0]
    ms, frames = (four["predictions"][name]["value"] for name in ("graph_ms", "frames_per_s"))
    assert frames == pytest.approx(4e3 / ms)


def test_a_layer_is_lifted_by_the_name_that_the_file_gives_it(folder) -> None:
    lifted = ("--set", "build.precision_overrides={relu: u16}")
    u8 = ("models/small.yaml", "--chip", "ax630c", "--variant", "u8")
    assert graph_ms(*u8, *lifted, folder=folder) > graph_ms(*u8, folder=folder)
    wrong = ("--set", "build.precision_overrides={rule: u16}", "--timing-only")
    assert "matches 'rule'" in run(*u8, *wrong, code=2, folder=folder).stderr


def test_pictures_are_prepared_as_the_vendors_configuration_says(folder) -> None:
    image = pytest.importorskip("PIL.Image")
    for number, name in enumerate(("dog.png", "cat.png")):
        image.new("RGB", (90, 50), (200, 90 * number, 10)).save(folder / name)
    (folder / "pictures").mkdir()
    (folder / "cat.png").rename(folder / "pictures" / "cat.png")
    (folder / "config.json").write_text(
        '{"npu_mode": "NPU1", "compiler": {"check": 0}, "quant": {"input_configs": [{'
        '"tensor_name": "x", "calibration_mean": [10, 20, 30], "calibration_std": [9, 9, 9]}]}}'
    )
    options = ("models/small.yaml", "--chip", "ax630c", "--variant", "u8")
    found = run(
        *options, "--image", "dog.png", "--pulsar2", "config.json", "--json", "out.json",
        folder=folder,
    )  # fmt: skip
    assert "config.json: without effect here: compiler" in found.stderr
    (variant,) = json.loads((folder / "out.json").read_text())["variants"]
    assert variant["numerics"]["calibrated_on"] == "the compared picture"
    assert variant["numerics"]["graph_cosine"] > 0.99
    run(*options, "--images", "pictures", "--json", "out.json", folder=folder)
    (other,) = json.loads((folder / "out.json").read_text())["variants"]
    assert other["numerics"]["calibrated_on"] == "1 picture of pictures"
    assert other["numerics"]["graph_cosine"] != variant["numerics"]["graph_cosine"]
    wrong = ("--set", "build.preprocess={z: {}}", "--image", "dog.png")
    assert "no input 'z'" in run(*options, *wrong, code=2, folder=folder).stderr
    cli.axsim("precision", "models/small.yaml", "--images", "pictures", folder=folder)


@pytest.mark.parametrize("observer", ["percentile", "mse", "kl"])
def test_a_build_finds_its_ranges_by_any_method(observer, folder) -> None:
    options = ("models/small.yaml", "--chip", "ax630c", "--variant", "u8", "--json", "-")
    cosines = []
    for each in ((), ("--set", f"build.observer={observer}"), ("--observer", observer)):
        out = run(*options, *each, folder=folder).stdout
        cosines.append(json.loads(out)["variants"][0]["numerics"]["graph_cosine"])
    plain, built, asked = cosines
    assert built == asked > 0.98
    assert (built == plain) == (observer == "kl")  # which finds all of these ranges whole
