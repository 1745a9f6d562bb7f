"""Pulsar2's build configuration as keys of a workload."""

from __future__ import annotations

import json

import pytest

from axsim.errors import InputError
from axsim.spec.pulsar2 import read_pulsar2
from axsim.spec.workload import load_workload

# As in the compiler's documentation, of mobilenet_v2.
DOCUMENTED = {
    "model_type": "ONNX",
    "npu_mode": "NPU1",
    "quant": {
        "input_configs": [
            {
                "tensor_name": "DEFAULT",
                "calibration_dataset": "./dataset/imagenet-32-images.tar",
                "calibration_size": 32,
                "calibration_mean": [103.939, 116.779, 123.68],
                "calibration_std": [58.0, 58.0, 58.0],
            }
        ],
        "calibration_method": "MinMax",
        "precision_analysis": False,
    },
    "input_processors": [
        {
            "tensor_name": "DEFAULT",
            "tensor_format": "BGR",
            "src_format": "BGR",
            "src_dtype": "U8",
            "src_layout": "NHWC",
        }
    ],
    "compiler": {"check": 0},
}


def written(folder, document=DOCUMENTED):
    path = folder / "config.json"
    path.write_text(json.dumps(document, indent=2))
    return path


def test_the_documented_configuration(tmp_path) -> None:
    found = read_pulsar2(written(tmp_path))
    assert found.build == {
        "npu_mode": "NPU1",
        "observer": "minmax",
        "preprocess": {
            "DEFAULT": {
                "mean": (103.939, 116.779, 123.68),
                "std": (58.0, 58.0, 58.0),
                "format": "BGR",
            }
        },
    }
    assert found.ignored == (
        "model_type",
        "compiler",
        "quant.precision_analysis",
        "quant.input_configs.calibration_dataset",
        "quant.input_configs.calibration_size",
        "input_processors.src_format",
        "input_processors.src_dtype",
        "input_processors.src_layout",
    )


def test_a_processor_goes_before_the_calibration_and_a_name_before_the_default(tmp_path) -> None:
    document = {
        "quant": {
            "input_configs": [
                {"tensor_name": "DEFAULT", "calibration_mean": [1], "calibration_std": [2]},
                {"tensor_name": "b", "calibration_mean": [3]},
            ]
        },
        "input_processors": [
            {"tensor_name": "a", "std": [5], "tensor_format": "RGB", "tensor_layout": "NHWC"},
        ],
    }
    found = read_pulsar2(written(tmp_path, document)).build["preprocess"]
    assert found["a"] == {"mean": (1,), "std": (5,), "format": "RGB", "layout": "NHWC"}
    assert found["b"] == {"mean": (3,), "std": (1.0,), "format": "BGR"}
    assert found["DEFAULT"] == {"mean": (1,), "std": (2,), "format": "BGR"}


def test_layers_of_another_type_are_precision_overrides(tmp_path) -> None:
    layers = [
        {"layer_name": "conv1", "data_type": "U16"},
        {"layer_names": ["a", "b"], "data_type": "S8"},
        {"op_type": "Add", "data_type": "U16"},
        {"op_types": ["Mul"], "data_type": "U16"},
        {"layer_name": "softmax", "data_type": "FP32"},
        {"start_tensor_names": ["x"], "end_tensor_names": ["y"], "data_type": "U16"},
    ]
    found = read_pulsar2(written(tmp_path, {"quant": {"layer_configs": layers}}))
    expected = {"op_type:Add": "u16", "op_type:Mul": "u16", "conv1": "u16", "a": "u8", "b": "u8"}
    assert found.build["precision_overrides"] == expected
    assert list(found.build["precision_overrides"]) == list(expected)  # the last one wins
    assert found.ignored == (
        "quant.layer_configs.start_tensor_names",
        "quant.layer_configs.end_tensor_names",
        "quant.layer_configs.data_type FP32",
    )


def test_a_workloads_own_keys_go_first_and_paths_are_its_own(tmp_path) -> None:
    written(tmp_path)
    (tmp_path / "w.yaml").write_text(
        "name: w\nmodel: {onnx: net.onnx}\nbuild: {pulsar2: config.json, npu_mode: NPU3}\n"
    )
    build = load_workload(tmp_path / "w.yaml").build
    assert build.npu_mode == "NPU3"
    assert build.preprocess["DEFAULT"].format == "BGR"
    assert build.pulsar2 == str(tmp_path / "config.json")
    keys = {"build.preprocess.DEFAULT.resize": "letterbox", "build.npu_mode": "NPU2"}
    build = load_workload(tmp_path / "w.yaml", keys).build
    assert (build.npu_mode, build.preprocess["DEFAULT"].resize) == ("NPU2", "letterbox")
    assert build.preprocess["DEFAULT"].std == (58.0, 58.0, 58.0)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"npu_mode": "NPU9"}, r"config\.json:2: npu_mode: found 'NPU9'"),
        ({"input_processors": [{"tensor_format": "NV12"}]}, "AutoColorSpace, BGR, RGB, GRAY"),
        ({"quant": {"calibration_method": "Best"}}, "MinMax, Percentile, MSE, KL"),
        ({"quant": {"layer_configs": [{"layer_name": "a", "data_type": "u16"}]}}, "U8, S8, U16"),
    ],
)
def test_values_that_it_cannot_have(tmp_path, document, message) -> None:
    with pytest.raises(InputError, match=message):
        read_pulsar2(written(tmp_path, document))


@pytest.mark.parametrize(
    ("document", "key", "first"),
    [
        (
            {"input_processors": [{"tensor_name": "x"}, {"tensor_name": "x"}]},
            "input_processors.1.tensor_name: 'x'",
            "[input_processors.0.tensor_name = 'x' at ",
        ),
        (
            {"quant": {"input_configs": [{}, {"tensor_name": "DEFAULT"}]}},
            "quant.input_configs.1.tensor_name: 'DEFAULT'",
            "[quant.input_configs.0.tensor_name at ",
        ),
        (
            {
                "quant": {
                    "layer_configs": [
                        {"layer_name": "a", "data_type": "U16"},
                        {"layer_names": ["b", "a"], "data_type": "FP32"},
                    ]
                }
            },
            "quant.layer_configs.1.layer_names.1: 'a'",
            "[quant.layer_configs.0.layer_name = 'a' at ",
        ),
        (
            {
                "quant": {
                    "layer_configs": [
                        {"op_types": ["Add"], "data_type": "U16"},
                        {"op_type": "Add", "data_type": "U8"},
                    ]
                }
            },
            "quant.layer_configs.1.op_type: 'Add'",
            "[quant.layer_configs.0.op_types.0 = 'Add' at ",
        ),
    ],
)
def test_what_is_configured_twice_would_be_the_last_without_a_word(
    tmp_path, document, key, first
) -> None:
    with pytest.raises(InputError) as found:
        read_pulsar2(written(tmp_path, document))
    (problem,) = found.value.problems
    assert f"{key} is configured twice {first}" in str(problem)


def test_what_two_lists_or_a_layer_and_its_type_say_is_no_contradiction(tmp_path) -> None:
    layers = [
        {"layer_name": "Add", "data_type": "U16"},
        {"op_type": "Add", "data_type": "U8"},
        {"layer_name": "Add", "weight_bits": 8},
    ]
    quant = {"input_configs": [{"tensor_name": "x"}], "layer_configs": layers}
    document = {"quant": quant, "input_processors": [{"tensor_name": "x"}]}
    found = read_pulsar2(written(tmp_path, document))
    assert found.build["precision_overrides"] == {"op_type:Add": "u8", "Add": "u16"}
    assert found.inputs["x"][1] == "input_processors.0.tensor_name"


def test_no_such_file_and_no_json(tmp_path) -> None:
    with pytest.raises(InputError, match=r"is a folder; allowed: .*a JSON file"):
        read_pulsar2(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read_pulsar2(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(InputError, match=r"bad\.json"):
        read_pulsar2(tmp_path / "bad.json")


@pytest.mark.parametrize("key", ["pulsar2", "preprocess", "observer"])
def test_other_workloads_have_no_such_keys(tmp_path, key) -> None:
    value = {"pulsar2": str(written(tmp_path)), "preprocess": {"DEFAULT": {}}, "observer": "kl"}
    with pytest.raises(InputError, match=f"build.{key}: .*belongs to an ONNX file"):
        load_workload("internvl2_1b", {f"build.{key}": value[key]})
