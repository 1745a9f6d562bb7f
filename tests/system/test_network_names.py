"""What a build says of a network's inputs, layers and operators that it does not have."""

from __future__ import annotations

import json

import pytest

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.spec.chip import load_chip
from axsim.spec.workload import load_workload
from axsim.system.network_names import check_names
from tests.cli.command import axsim
from tests.cli.small_network import small

pytest.importorskip("onnx")


@pytest.fixture
def told(tmp_path, monkeypatch):
    """The lines of the error that a build with these keys makes."""
    monkeypatch.chdir(small(tmp_path))

    def told(document=None, **keys):
        given = {f"build.{key}": value for key, value in keys.items()}
        if document is not None:
            (tmp_path / "c.json").write_text(json.dumps(document, indent=1))
            given["build.pulsar2"] = "c.json"
        workload = load_workload("models/small.yaml", given, "u8")
        try:
            check_names(Deployment(workload, load_chip("ax630c")))
        except InputError as error:
            return [str(problem) for problem in error.problems]
        return []

    return told


@pytest.mark.parametrize(
    ("document", "where", "what"),
    [
        (
            {"input_processors": [{"tensor_name": "DEFAULT"}, {"tensor_name": "xx"}]},
            "c.json:7: input_processors.1.tensor_name: ",
            "small has no input 'xx'; did you mean 'x'?; allowed: DEFAULT, x",
        ),
        (
            {"quant": {"input_configs": [{"tensor_name": "xx"}]}},
            "c.json:5: quant.input_configs.0.tensor_name: ",
            "small has no input 'xx'; did you mean 'x'?; allowed: DEFAULT, x",
        ),
        (
            {"quant": {"layer_configs": [{"layer_name": "secnod", "data_type": "U16"}]}},
            "c.json:5: quant.layer_configs.0.layer_name: ",
            "no layer or activation of small matches 'secnod'; did you mean 'second'?; allowed: ",
        ),
        (
            {"quant": {"layer_configs": [{"layer_names": ["end", "frist"], "data_type": "U16"}]}},
            "c.json:7: quant.layer_configs.0.layer_names.1: ",
            "no layer or activation of small matches 'frist'; did you mean 'first'?; allowed: ",
        ),
        (
            {"quant": {"layer_configs": [{"op_type": "Sigmiod", "data_type": "U16"}]}},
            "c.json:5: quant.layer_configs.0.op_type: ",
            "there is no type of operators 'Sigmiod'; did you mean 'Sigmoid'?; allowed: Conv, ",
        ),
        (
            {"quant": {"layer_configs": [{"op_types": ["Softmax", "Cnov"], "data_type": "U16"}]}},
            "c.json:7: quant.layer_configs.0.op_types.1: ",
            "there is no type of operators 'Cnov'; did you mean 'Conv'?; allowed: Conv, ",
        ),
    ],
)
def test_a_name_of_the_vendors_configuration_is_cited_where_it_stands(
    told, document, where, what
) -> None:
    (line,) = told(document)
    assert line.startswith(where + what)


def test_a_name_of_the_workloads_own_keys_is_cited_by_its_key(told) -> None:
    (line,) = told(preprocess={"xx": {}})
    allowed = "did you mean 'x'?; allowed: DEFAULT, x"
    assert line == f"build.preprocess: small has no input 'xx'; {allowed}"
    one, other = told(preprocess={"xx": {}}, precision_overrides={"Conv": "u16", "end*": "u16"})
    assert one == line
    assert "build.precision_overrides: no layer or activation of small matches 'Conv'" in other
    assert (
        told({"input_processors": [{"tensor_name": "x"}]}, precision_overrides={"b": "u16"}) == []
    )


def test_every_command_that_takes_a_network_says_so_without_kernels(tmp_path) -> None:
    folder = small(tmp_path)
    (folder / "s.yaml").write_text(
        "name: s\nchip: ax630c\ntenants:\n"
        "  d: {workload: models/small.yaml, arrivals: {fps: 5},\n"
        "      set: {build.preprocess: {xx: {}}}}\n"
    )
    workload = "models/small.yaml", "--set", "build.preprocess={xx: {}}"
    on = "--chip", "ax630c"
    for arguments in (
        ("run", *workload, *on, "--timing-only"),
        ("explain", *workload, *on),
        ("snapshot", *workload, *on, "-o", "s.json"),
        ("sweep", *workload, *on, "--timing-only", "--vary", "build.vision_dtype=u8,u16"),
        ("build", *workload, *on, "-o", "out", "--no-check"),
        ("simulate", "s.yaml"),
    ):
        found = axsim(*arguments, code=2, folder=folder).stderr
        assert "build.preprocess: small has no input 'xx'; did you mean 'x'?" in found, arguments
    assert not (folder / "out").exists()
