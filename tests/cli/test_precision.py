"""``axsim precision`` from the outside."""

from __future__ import annotations

import csv
import json

import pytest
import yaml

from tests.cli.command import axsim
from tests.runs import tiny as tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_model.write(tmp_path_factory.mktemp("precision"))


def test_worst_first_on_screen_and_in_files(tiny, tmp_path):
    out = axsim("precision", tiny, "--rows", 3, "-o", tmp_path / "rows.csv").stdout
    with (tmp_path / "rows.csv").open() as file:
        rows = list(csv.DictReader(file))
    ratios = [float(row["sqnr_db"]) for row in rows[:-2] if row["sqnr_db"]]
    assert ratios == sorted(ratios)
    assert [row["operator"] for row in rows[-2:]] == ["vision output", "first logits"]
    lines = out.splitlines()
    top = next(n for n, line in enumerate(lines) if line.startswith("operator"))
    shown = [line.split()[0] for line in lines[top + 1 : top + 4]]
    assert shown == [row["operator"] for row in rows[:3]]
    assert "synthetic weights" in out


def test_a_proposal_can_be_pasted(tiny, tmp_path):
    report = tmp_path / "p.json"
    options = ["--variant", "u8", "--target", "0.99609", "--chip", "ax630c", "-o", report]
    out = axsim("precision", tiny, *options).stdout
    line = next(each for each in out.splitlines() if "build.precision_overrides" in each)
    pasted = yaml.safe_load(line)["build.precision_overrides"]
    proposal = json.loads(report.read_text())["proposal"]
    assert pasted == proposal["precision_overrides"]
    setting = f"build.precision_overrides={json.dumps(pasted)}"
    again = axsim("precision", tiny, "--variant", "u8", "--set", setting, "-o", report)
    assert again.exit_code == 0
    ends = json.loads(report.read_text())["ends"]
    assert ends[0]["cosine"] == pytest.approx(proposal["cosine"], abs=1e-7)
    assert "nothing to lift" in axsim("precision", tiny, "--target", "0.5").stdout


def test_operators_alone(tiny, tmp_path):
    found = {}
    for options in ([], ["--per-layer"]):
        axsim("precision", tiny, *options, "-o", tmp_path / "rows.csv")
        with (tmp_path / "rows.csv").open() as file:
            found[len(options)] = {row["operator"]: row for row in csv.DictReader(file)}
    assert found[0].keys() - found[1].keys() == {"vision output", "first logits"}
    own, built_up = (float(found[n]["mlp1.3"]["sqnr_db"]) for n in (1, 0))
    assert own > built_up
    report = tmp_path / "p.json"
    target = ["--target", "0.99609", "--chip", "ax630c", "-o", report]
    proposals = []
    for options in ([], ["--per-layer"]):
        axsim("precision", tiny, "--variant", "u8", *target, *options)
        proposals.append(json.loads(report.read_text())["proposal"])
    assert proposals[0] == proposals[1]


def test_pictures_of_a_folder(tiny, tmp_path):
    image = pytest.importorskip("PIL.Image")
    for name in ("a.png", "b.jpg"):
        image.new("RGB", (80, 60), (200, len(name), 9)).save(tmp_path / name)
    own = axsim("precision", tiny, "--images", tmp_path, "--observer", "percentile").stdout
    assert own != axsim("precision", tiny, "--observer", "percentile").stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--images", "nowhere"], "nowhere is no folder"),
        (["--observer", "median"], "median"),
        (["--variant", "u16", "--target", "0.99"], "no U8 vision"),
        (["-o", "x.txt"], "allowed: .csv, .json"),
        (["--set", "build.precision_overrides={nix: u16}"], "matches 'nix'"),
        (["--checkpoint", "nowhere"], "no such folder: nowhere"),
    ],
)
def test_wrong_input(tiny, options, message):
    assert message in axsim("precision", tiny, *options, code=2).stderr
