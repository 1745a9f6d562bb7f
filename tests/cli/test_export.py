"""``axsim export`` from the outside."""

from __future__ import annotations

import onnx
import pytest

from tests.cli.command import axsim
from tests.runs import tiny as tiny_model


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tiny_model.write(tmp_path_factory.mktemp("export"))


def kinds(path):
    return {node.op_type for node in onnx.load(path).graph.node}


def test_every_subgraph(tiny, tmp_path):
    out = axsim("export", tiny, "-o", tmp_path / "new" / "folder").stdout
    names = {path.name for path in (tmp_path / "new" / "folder").iterdir()}
    assert names == {
        "vision_56.onnx",
        "decode_n1_h40_layer0.onnx",
        "prefill_n8_h0_layer0.onnx",
        "prefill_n8_h8_layer0.onnx",
        "prefill_n8_h16_layer0.onnx",
        "post.onnx",
    }
    assert all(name in out for name in names)
    assert all("QuantizeLinear" not in kinds(tmp_path / "new" / "folder" / n) for n in names)


def test_quantised_ones(tiny, tmp_path):
    options = ["--quantized", "--subgraph", "vision", "--subgraph", "decode", "--layer", "all"]
    axsim("export", tiny, "-o", tmp_path, "--variant", "u16", *options)
    assert {path.name for path in tmp_path.iterdir()} == {
        "vision_56_quantized.onnx",
        "decode_n1_h40_layer0_quantized.onnx",
        "decode_n1_h40_layer1_quantized.onnx",
    }
    assert {"QuantizeLinear", "DequantizeLinear"} <= kinds(tmp_path / "vision_56_quantized.onnx")
    layer = kinds(tmp_path / "decode_n1_h40_layer1_quantized.onnx")
    assert "DequantizeLinear" in layer
    assert "QuantizeLinear" not in layer


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--layer", "2"], "--layer 2 is no decoder layer; allowed: 0 to 1, all"),
        (["--subgraph", "tower"], "tower"),
        (["--checkpoint", "nowhere"], "no such folder: nowhere"),
        (["--variant", "u9"], "no variant 'u9'"),
    ],
)
def test_wrong_input(tiny, tmp_path, options, message):
    assert message in axsim("export", tiny, "-o", tmp_path, *options, code=2).stderr


def test_a_decoder_has_no_vision(tmp_path):
    arguments = ["export", "qwen3_0_6b", "-o", tmp_path, "--subgraph", "vision"]
    assert "Qwen3-0.6B has no subgraph vision" in axsim(*arguments, code=2).stderr
