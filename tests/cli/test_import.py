"""``axsim import`` and ``axsim run --checkpoint``, from the outside."""

from __future__ import annotations

import json

import pytest

from tests.cli.command import axsim
from tests.models import layouts
from tests.models.seeded import INTERNVL, SeededWeights
from tests.models.writing import internvl_chat_json, stored, write

RUN = ["--chip", "ax630c", "--variant", "112-u8", "--set", "request.new_tokens=2"]
SEEDED = ["--calibrate-on", "seeded"]


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "model"
    tensors = stored(SeededWeights(INTERNVL), INTERNVL, layouts.OPENGVLAB)
    write(folder, internvl_chat_json(INTERNVL), tensors)
    return folder


def test_import_then_run_with_the_checkpoint(folder, tmp_path):
    path = tmp_path / "w.yaml"
    axsim("import", folder, "-o", path)
    assert axsim("import", folder).stdout == path.read_text()
    report = tmp_path / "r.json"
    out = axsim("run", path, *RUN, *SEEDED, "--checkpoint", folder, "--json", report).stdout
    assert "synthetic" not in out
    numerics = json.loads(report.read_text())["variants"][0]["numerics"]
    assert numerics["synthetic"] is False
    assert numerics["vision_cosine"] > 0.9
    axsim("run", path, *RUN, "--json", report)
    other = json.loads(report.read_text())["variants"][0]["numerics"]
    assert other["synthetic"] is True
    assert other["vision_cosine"] != numerics["vision_cosine"]


def test_every_wrong_tensor_in_one_message(folder, tmp_path):
    path = tmp_path / "w.yaml"
    axsim("import", folder, "-o", path)
    tensors = stored(SeededWeights(INTERNVL), INTERNVL, layouts.OPENGVLAB)
    del tensors["mlp1.1.bias"]
    tensors["mlp1.3.weight"] = tensors["mlp1.3.weight"][:-1]
    tensors["left.over"] = tensors["mlp1.3.bias"]
    write(folder, internvl_chat_json(INTERNVL), tensors)
    err = axsim("run", path, *RUN, "--checkpoint", folder, code=2).stderr
    for part in (
        "1 missing: mlp1.1.bias",
        "1 wrong shape: mlp1.3.weight",
        "1 left over: left.over",
    ):
        assert part in err
    assert err.count("error:") == 1


def test_another_architecture_is_told_key_by_key(folder, tmp_path):
    path = tmp_path / "w.yaml"
    axsim("import", folder, "-o", path)
    text = path.read_text().replace("rope_theta: 1000000.0", "rope_theta: 10000.0")
    path.write_text(text)
    err = axsim("run", path, *RUN, "--checkpoint", folder, code=2).stderr
    assert "error: decoder.rope_theta: " in err
    assert f"axsim import {folder}" in err


def test_no_checkpoint_there(tmp_path):
    err = axsim("import", tmp_path / "nowhere", code=2).stderr
    assert "no such folder: " in err


def test_sizes_that_are_assumed_are_told(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "qwen2"}')
    found = axsim("import", tmp_path)
    assert "12,049,846,272 parameters" in found.stdout
    assert found.stderr.splitlines() == [
        "assumed, as transformers does where config.json is silent: num_hidden_layers 32, "
        "hidden_size 4096, intermediate_size 22016, num_attention_heads 32, vocab_size 151936"
    ]
    again = axsim("import", tmp_path / "config.json")
    assert again.stdout == found.stdout


def test_what_is_no_folder(tmp_path):
    hub = axsim("import", "Qwen/Qwen3-0.6B", folder=tmp_path, code=2).stderr
    assert "hf download Qwen/Qwen3-0.6B --local-dir Qwen3-0.6B" in hub
    assert axsim("import", "nope", folder=tmp_path, code=2).stderr.startswith(
        "error: no such folder: nope"
    )
    (tmp_path / "other.json").write_text("{}")
    err = axsim("import", "other.json", folder=tmp_path, code=2).stderr
    assert err == "error: other.json is no checkpoint's folder\n"
    (tmp_path / "config.json").write_text('{"model_type": "qwen2", "eos_token_id": [true]}')
    err = axsim("import", tmp_path, code=2).stderr
    assert "eos_token_id is [True]; allowed: an id or a list" in err


def test_every_other_thing_is_told_where_it_belongs(tmp_path):
    for name in ("net.onnx", "a.axmodel", "w.pt", "m.safetensors", "x.gguf"):
        (tmp_path / name).touch()
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "detector.onnx").touch()
    (tmp_path / "empty").mkdir()
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "qwen2"}')
    needless = "an ONNX network needs no import: axsim run"
    imported = "axsim import checkpoint -o mine.yaml, then axsim run mine.yaml"
    for command, name, advice in (
        ("import", "net.onnx", f"{needless} net.onnx --chip CHIP"),
        ("import", "networks", f"{needless} networks/detector.onnx --chip CHIP"),
        ("import", "a.axmodel", "axsim import takes the whole folder of the vendor's package"),
        ("import", "w.pt", "export the network as ONNX"),
        ("import", "m.safetensors", "config.json of its safetensors is missing"),
        ("import", "empty", "empty/config.json cannot be read: no such file"),
        ("import", "gone.gguf", "no such file: gone.gguf"),
        ("import", "internvl2_1b", "needs no import: axsim run internvl2_1b --chip CHIP"),
        ("import", "https://huggingface.co/a/B", "hf download a/B --local-dir B"),
        ("run", "checkpoint", imported),
        ("run", "checkpoint/config.json", imported),
        ("run", "x.gguf", "axsim import x.gguf -o mine.yaml"),
        ("run", "a.axmodel", "axsim exec"),
        ("run", "Qwen/Qwen3-0.6B", "hf download Qwen/Qwen3-0.6B"),
        ("run", "networks", f"{needless} networks/detector.onnx"),
    ):
        chip = ("--chip", "ax630c") if command == "run" else ()
        err = axsim(command, name, *chip, folder=tmp_path, code=2).stderr
        assert advice in err, (command, name, err)
