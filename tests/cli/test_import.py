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
    assert "config.json cannot be read" in err
