"""Networks from ONNX files in a ledger."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from statistics import fmean

import pytest

import axsim
from axsim.fidelity.ledger import load_ledger, shipped_graphs, shipped_ledger
from axsim.fidelity.validate import validate
from tests.cli import command as cli
from tests.cli.small_network import small

pytest.importorskip("onnx")

LEDGER = shipped_ledger().with_name("cnn.csv")


@pytest.fixture(scope="module")
def rows():
    return validate(LEDGER).compared


@pytest.mark.parametrize(
    ("chip", "mode", "most"),
    [("ax650n", "NPU1", 0.08), ("ax650n", "NPU3", 0.08), ("ax630c", "NPU2", 0.12)],
)
def test_networks_are_predicted_well_on_average(rows, chip, mode, most) -> None:
    own = [each for each in rows if (each.row.chip, each.row.npu_mode) == (chip, mode)]
    assert len(own) == 9
    assert fmean(abs(each.error) for each in own) <= most


def test_no_network_on_ax650n_is_far_off(rows) -> None:
    worst = max(abs(each.error) for each in rows if each.row.chip == "ax650n")
    assert worst <= 0.25


def test_rows_name_files_of_a_folder(tmp_path) -> None:
    shutil.copy(shipped_graphs() / "resnet18.onnx", tmp_path / "mine.onnx")
    (row,) = [each for each in load_ledger(LEDGER) if each.id == "C011"]
    (tmp_path / "ledger.csv").write_text(
        "id,chip,model,metric,value,vision_dtype,npu_mode\n"
        "A,ax650n,mine,graph_ms,1,u8,NPU1\nB,ax650n,mime,graph_ms,1,u8,NPU1\n"
    )
    found = cli.axsim(
        "validate", "--ledger", "ledger.csv", "--graphs", ".", "--json", "-",
        code=1, folder=tmp_path,
    )  # fmt: skip
    mine, unknown = json.loads(found.stdout)
    (shipped,) = validate([row]).compared
    assert mine["predicted"] == shipped.predicted
    assert unknown["predicted"] is None
    assert "mime.onnx" in unknown["reason"]


def test_a_folder_that_is_none_is_one_message(tmp_path) -> None:
    found = cli.axsim("validate", "--ledger", LEDGER, "--graphs", tmp_path / "none", code=2)
    assert "no such folder" in found.stderr


def test_a_row_is_explained() -> None:
    out = cli.axsim("validate", "--ledger", LEDGER, "--explain", "C014").stdout
    assert "graph_ms of resnet50" in out
    assert "projection" in out


def test_a_row_gives_the_size_that_its_file_leaves_open(tmp_path) -> None:
    import onnx

    model = onnx.load(str(shipped_graphs() / "squeezenet1_1.onnx"))
    for dimension in model.graph.input[0].type.tensor_type.shape.dim[2:]:
        dimension.dim_param = "side"
    onnx.save(model, str(tmp_path / "open.onnx"))
    (row,) = [each for each in load_ledger(LEDGER) if each.id == "C009"]
    (closed,) = validate([row]).compared
    (found,) = validate([replace(row, model="open")], graphs=tmp_path).compared
    assert found.predicted == closed.predicted
    (larger,) = validate([replace(row, model="open", image_size=454)], graphs=tmp_path).compared
    assert larger.predicted > 2.5 * closed.predicted


def test_a_picture_of_more_than_twice_the_pixels_of_any_row_is_extrapolated(tmp_path) -> None:
    small(tmp_path)
    file, told = tmp_path / "models" / "small.onnx", []
    for side in (416, 640):
        sizes = {"model.shapes": {"x": [2, 3, side, side]}}
        (found,) = axsim.run(file, "ax630c", overrides=sizes, timing_only=True)
        told.append(found.predictions["graph_ms"])
    assert told[0].extrapolated == ""
    assert told[1].extrapolated == "409600 pixels are more than twice the 89401 measured"
    assert told[1].interval.high > told[0].interval.high
