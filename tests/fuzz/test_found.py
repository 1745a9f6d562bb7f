"""What inputs of nine sorts once led to: tracebacks, hangs, gigabytes, silent nonsense."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import axsim
from axsim.errors import InputError
from axsim.fidelity.ledger import shipped_ledger
from axsim.study.values import parse_vary
from tests.fuzz.bounded import Outcome, limits, outcome
from tests.fuzz.kinds import base, questions
from tests.models import layouts
from tests.models.seeded import SeededWeights
from tests.models.small import DECODERS
from tests.models.writing import decoder_json, stored, write, write_safetensors
from tests.runs import tiny

TINY = ("w.yaml", "--chip", "ax630c", "--timing-only", "--json", "-")


def told(folder: Path, *arguments: str, code: int = 2) -> str:
    """The error of a command that must not end otherwise."""
    with limits():
        found = outcome(arguments, folder)
    assert not found.faults, found
    assert found.code == code, found
    return found.stderr


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    base.write(tmp_path, "w.yaml", base.tiny_text())
    return tmp_path


# Prompts and the command line


def test_half_a_character_in_a_prompt(tmp_path: Path) -> None:
    questions._copied(tmp_path)
    text = told(tmp_path, *questions._asked("a\ud800b"))
    assert "the character" in text
    assert "half of a surrogate pair" in text


@pytest.mark.parametrize("option", ["--set", "--vary"])
def test_half_a_character_in_a_setting(option: str, folder: Path) -> None:
    command = ("sweep" if option == "--vary" else "run", *TINY[:4])
    text = told(folder, *command, option, "name=\ud800")
    assert f"{option} name=\\ud800" in text


@pytest.mark.parametrize("option", ["--set", "--vary"])
def test_keys_that_steer_a_terminal(option: str, folder: Path) -> None:
    command = ("sweep" if option == "--vary" else "run", *TINY[:4])
    text = told(folder, *command, option, "chip.rated.a\rb=7")
    assert "the key holds a control character" in text


def test_readings_that_are_too_few_for_errors(folder: Path) -> None:
    base.write(folder, "m.csv", "id,workload,variant,set,run,watts\na,w.yaml,,,prefill,5\n")
    told(folder, "calibrate", "ax650n", "--power", "m.csv", "-o", "c.yaml", code=0)
    with limits():
        found = outcome(["calibrate", "ax650n", "--power", "m.csv", "--json", "-"], folder)
    assert not found.faults
    assert any(each["error"] is None for each in json.loads(found.stdout)["parameters"])


def test_a_range_of_more_values_than_can_be_held() -> None:
    start = time.perf_counter()
    for setting, word in (
        ("build.kv_cache_len=1..2:999999999999", "up to 10,000"),
        (f"build.kv_cache_len=1..2:{'9' * 5000}", "up to 10,000"),
        ("build.kv_cache_len=1...nan:3", "finite numbers"),
        ("build.kv_cache_len=1..1e999:2", "finite numbers"),
        ("build.kv_cache_len=-9e307..9e307:3", "finite numbers"),
    ):
        with pytest.raises(InputError, match=word):
            parse_vary([setting])
    assert time.perf_counter() - start < 5


def test_more_points_than_can_be_listed(folder: Path) -> None:
    varied = [f"--vary=chip.{key}=100..200:1001" for key in ("host.pcie_ms", "cpu.clock_mhz")]
    assert "1e+06 points" in told(folder, "sweep", *TINY[:4], *varied)


# Chips


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("npu.attention_key_tile", 2**63),
        ("npu.attention_row_tile", 10**400),
        ("npu.resource_groups", 10**9),
        ("npu.conv_per_group", 10**6),
        ("npu.ocm_bytes", 100),
        ("dram.width_bits", 10**300),
        ("calibrated.clock_mhz", 1e-300),
        ("calibrated.teng_bytes_per_cycle", 5e-324),
        ("cpu.clock_mhz", 1e300),
        ("host.pcie_ms", 1e200),
    ],
)
def test_what_no_chip_has(key: str, value: float, folder: Path) -> None:
    setting = f"chip.{key}={value}"
    assert key in told(folder, "run", *TINY, "--set", setting)


def test_whoever_means_it_insists(folder: Path) -> None:
    setting = ["--set", "chip.npu.step_us=20000"]
    assert "insist: [npu.step_us]" in told(folder, "run", *TINY, *setting)
    insists = ["--set", "chip.insist=[npu.step_us]"]
    told(folder, "run", *TINY, *setting, *insists, code=0)
    further = ["--set", "chip.npu.step_us=1e9"]
    assert "npu.step_us" in told(folder, "run", *TINY, *further, *insists)
    assert "dram.peak_gbps" in told(folder, "run", *TINY, "--set", "chip.insist=[dram.peak]")


# Workloads


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("model.decoder.num_hidden_layers", 10**9),
        ("model.decoder.hidden_size", 2**40),
        ("model.decoder.vocab_size", 2**60),
        ("build.kv_cache_len", 2**62),
        ("request.prompt_tokens", 10**15),
        ("request.new_tokens", 10**12),
        ("build.prefill_max_chunks", 10**300),
    ],
)
def test_sizes_that_never_end(key: str, value: int, folder: Path) -> None:
    assert "up to" in told(folder, "run", *TINY, "--set", f"{key}={value}")


def test_half_a_pair_of_channels_that_turn(folder: Path) -> None:
    key = "model.decoder.partial_rotary_factor=0.9"
    assert "turns 7 of 8 channels" in told(folder, "run", *TINY[:4], "--set", key)


def test_large_sizes_that_only_multiply(folder: Path) -> None:
    long = ["build.prefill_chunk=1000000", "build.kv_cache_len=1000000"]
    heads = ["model.decoder.num_attention_heads=4096", "model.decoder.head_dim=2"]
    settings = [f"--set={each}" for each in (*long, *heads)]
    assert "attention scores" in told(folder, "run", *TINY, *settings)
    many = ["build.prefill_chunk=1", "build.kv_cache_len=100000", "request.prompt_tokens=90000"]
    settings = [f"--set={each}" for each in many]
    assert "up to 2048 calls" in told(folder, "run", *TINY, *settings)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (
            "a0: &a0 [x]\n"
            + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)),
            "more than 20,000 values",
        ),
        ("# x\n" * 300_000 + "name: x\n", "model: missing"),
        ("name: [" + "1, " * 21_000 + "1] # x\n", "more than 20,000 values"),
        ("name: " + "x" * (5 << 20), "too large"),
        ("name: 0x" + "f" * 9000, "more than 300 digits"),
        ('name: "\\e[31mred"', "control character"),
        ('name: "\\ud800"', "name"),
        ("[" * 100_000, "x.yaml"),
    ],
    ids=["laughs", "comments", "line", "large", "digits", "escape", "surrogate", "deep"],
)
def test_yaml_that_grows_or_bites(text: str, word: str, tmp_path: Path) -> None:
    base.write(tmp_path, "x.yaml", text)
    start = time.perf_counter()
    assert word in told(tmp_path, "run", "x.yaml", *TINY[1:])
    assert time.perf_counter() - start < 20


# Checkpoints


def config(**keys: Any) -> dict[str, Any]:
    return {**DECODERS["qwen3-bias"], **keys}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"rope_scaling": []}, "rope_scaling: found []"),
        ({"vision_config": "x"}, 'vision_config: found "x"'),
        ({"text_config": 7, "model_type": "llava"}, "text_config: found 7"),
        ({"quantization_config": [1]}, "quantization_config: found [1]"),
        ({"model_type": ["qwen3"]}, "model_type"),
        ({"max_position_embeddings": "u8"}, 'max_position_embeddings: found "u8"'),
        ({"max_position_embeddings": float("nan")}, "max_position_embeddings: found NaN"),
        ({"num_key_value_heads": True}, "num_key_value_heads: found true"),
        ({"intermediate_size": 0}, "intermediate_size: found 0"),
        ({"intermediate_size": -1e300}, "intermediate_size: found -1e+300"),
        ({"eos_token_id": [True]}, "eos_token_id is [True]"),
        ({"rope_theta": 0.0}, "rope_theta: found 0.0"),
        ({"hidden_size": 10**400}, "hidden_size: found 1000"),
        ({"head_dim": 1}, "an even number"),
        ({"architectures": [["Qwen3ForCausalLM"]]}, "architectures: found"),
        ({"layer_types": [1, 2]}, "layer_types: found [1, 2]"),
        ({"num_hidden_layers": 5000}, "from 1 to 1000"),
    ],
)
def test_config_json_of_another_kind(change: dict[str, Any], word: str, tmp_path: Path) -> None:
    base.write(tmp_path, "config.json", json.dumps(config(**change)))
    assert word in told(tmp_path, "import", ".")


def test_a_folder_of_any_name_can_be_imported(tmp_path: Path) -> None:
    for name in ('a"b\\c', "\x1b[31mred", "=1+1", "null", "é", "1e3"):
        own = tmp_path / name
        own.mkdir()
        base.write(own, "config.json", json.dumps(config()))
        told(tmp_path, "import", name, "-o", "w.yaml", code=0)
        told(tmp_path, "run", *TINY, code=0)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from axsim.models.config import ModelConfig

    folder = tmp_path_factory.mktemp("checkpoint")
    model = ModelConfig(tiny.DECODER)
    tensors = stored(SeededWeights(model), model, layouts.PLAIN)
    write(folder, decoder_json(tiny.DECODER), tensors)
    base.write(folder, "w.yaml", base.tiny_text())
    return folder


WITH_KERNELS = (
    "run",
    *TINY[:3],
    "--checkpoint",
    ".",
    "--json",
    "-",
    "--set",
    "request.new_tokens=1",
)


def damaged(checkpoint: Path, folder: Path, change: Callable[[dict[str, np.ndarray]], None]) -> str:
    from axsim.models.checkpoint import Checkpoint

    shutil.copytree(checkpoint, folder, dirs_exist_ok=True)
    files = Checkpoint(checkpoint)._files
    tensors = {name: files[name].float32(name) for name in files}
    change(tensors)
    with np.errstate(all="ignore"):
        write_safetensors(folder / "model.safetensors", tensors)
    return told(folder, *WITH_KERNELS)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, ...])
def test_weights_that_are_no_numbers(
    checkpoint: Path, tmp_path: Path, value: float, place: Any
) -> None:
    name = "model.layers.1.mlp.up_proj.weight"

    def change(tensors: dict[str, np.ndarray]) -> None:
        tensors[name].reshape(-1)[place] = value

    text = damaged(checkpoint, tmp_path, change)
    assert name in text
    assert "infinite or no numbers" in text


def test_weights_that_overflow(checkpoint: Path, tmp_path: Path) -> None:
    def change(tensors: dict[str, np.ndarray]) -> None:
        for name in tensors:
            tensors[name][...] = 3e38

    assert "overflow" in damaged(checkpoint, tmp_path, change)


def test_results_that_overflow(checkpoint: Path, tmp_path: Path) -> None:
    def change(tensors: dict[str, np.ndarray]) -> None:
        tensors["model.norm.weight"][0] = 3e38

    assert "overflow" in damaged(checkpoint, tmp_path, change)
    given = ("precision", "w.yaml", "--chip", "ax630c", "--checkpoint", ".", "-o", "o.json")
    told(tmp_path, *given, code=0)
    (last,) = json.loads((tmp_path / "o.json").read_text())["ends"]
    assert last["cosine"] is None


@pytest.mark.parametrize(
    "change",
    [
        *({"data_offsets": each} for each in ([0.0, 64.0], [-64, 0], [0, "4"], [4, 0], [True, 65])),
        *({"data_offsets": each} for each in ([0], 7, [0, 2**70], None, [0, 64])),
        *({"shape": each} for each in (["%s", 10**400], [-32], [-4, -8], [32.0], 32, None)),
        {"data_offsets": [0, 0], "shape": [0, 2**70]},
        {"dtype": []},
        "[" * 10_000,
    ],
)
def test_headers_of_safetensors(checkpoint: Path, tmp_path: Path, change: Any) -> None:
    shutil.copytree(checkpoint, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "model.safetensors"
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    text = change
    if not isinstance(change, str):
        header = json.loads(data[8 : 8 + length])
        header["model.norm.weight"] |= change
        text = json.dumps(header)
    content = text.encode()
    path.write_bytes(len(content).to_bytes(8, "little") + content + data[8 + length :])
    found = told(tmp_path, *WITH_KERNELS)
    assert "model.safetensors" in found
    if repr(change) == "{'data_offsets': [0, 64]}":
        assert "share bytes" in found


@pytest.mark.parametrize("target", ["/dev/zero", "model.safetensors", "."])
def test_safetensors_that_are_no_file(checkpoint: Path, tmp_path: Path, target: str) -> None:
    shutil.copytree(checkpoint, tmp_path, dirs_exist_ok=True)
    path = tmp_path / "model.safetensors"
    path.unlink()
    os.symlink(target, path)
    assert "safetensors" in told(tmp_path, *WITH_KERNELS)


@pytest.mark.parametrize("source", [questions._LOOPS[1], questions._LOOPS[2], questions._LOOPS[6]])
def test_chat_templates_without_end(source: str, tmp_path: Path) -> None:
    questions._copied(tmp_path)
    held = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").unlink()
    base.write(tmp_path, "config.json", json.dumps({**held, "template": None}))
    base.write(tmp_path, "chat_template.jinja", source)
    assert "cannot be rendered" in told(tmp_path, *questions._asked("hello"))


def test_a_network_that_computes_nothing(tmp_path: Path) -> None:
    from onnx import helper

    from tests.network.filled import model

    shape = {"rows": np.array([3, 2])}
    made = model([helper.make_node("Reshape", ["x", "rows"], ["y"])], [("x", [2, 3])],
                 [("y", [3, 2])], shape)  # fmt: skip
    base.write(tmp_path, "n.onnx", made.SerializeToString())
    text = told(tmp_path, "run", "n.onnx", "--chip", "ax630c", "--timing-only")
    assert "n.onnx: the chip has nothing to compute" in text


def test_many_long_problems_are_cut(tmp_path: Path) -> None:
    text = told(tmp_path, "validate", "-q", "--ledger", ledger(tmp_path, image_size="x" * 5000))
    assert 1000 < len(text) < 6000


# Pictures


def test_a_small_file_of_a_large_picture(tmp_path: Path) -> None:
    from random import Random

    questions._copied(tmp_path)
    base.write(tmp_path, "p.png", questions._bomb(Random(1)))
    text = told(tmp_path, *questions._asked("what?", "--image", "p.png"))
    assert "9000 x 9000 pixels; allowed: 67.1 million" in text


def test_a_picture_that_its_exif_turns(tmp_path: Path) -> None:
    from PIL import Image

    from axsim.inputs.images import open_picture

    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter, as cameras of phones write it
    Image.new("RGB", (40, 20), (255, 0, 0)).save(tmp_path / "p.jpg", exif=exif)
    assert open_picture(tmp_path / "p.jpg").size == (20, 40)


def test_a_picture_that_is_a_program(tmp_path: Path) -> None:
    from axsim.inputs.images import open_picture

    text = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    base.write(tmp_path, "p.png", text)
    with pytest.raises(InputError, match="EPS files are drawn by another program"):
        open_picture(tmp_path / "p.png")


def test_a_picture_of_sixteen_bits(tmp_path: Path) -> None:
    from PIL import Image

    from axsim.inputs.images import open_picture

    levels = np.arange(256, dtype=np.uint16).reshape(16, 16) * 257
    Image.fromarray(levels).save(tmp_path / "p.png")
    found = np.asarray(open_picture(tmp_path / "p.png"))
    np.testing.assert_array_equal(found[..., 0], levels >> 8)
    Image.fromarray(np.float32(levels)).save(tmp_path / "p.tiff")
    with pytest.raises(InputError, match="floating-point"):
        open_picture(tmp_path / "p.tiff")


# Ledgers, baselines, journals


def ledger(folder: Path, **cells: str) -> str:
    """The shipped rows with these cells in each."""
    import csv

    with shipped_ledger().open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (folder / "l.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows({**row, **cells} for row in rows)
    return "l.csv"


@pytest.mark.parametrize(
    "cells",
    [
        {"value": "x"},
        {"value": "1e-300"},
        {"prefill_chunk": "1e300"},
        {"cached_tokens": "-1"},
        {"image_size": str(2**62)},
        {"id": "\x1b[31m"},
    ],
)
def test_a_ledger_of_wrong_rows_is_no_flood(cells: dict[str, str], tmp_path: Path) -> None:
    text = told(tmp_path, "validate", "--ledger", ledger(tmp_path, **cells))
    assert len(text.splitlines()) == 11
    assert text.splitlines()[-1].startswith("error: … and ")


def test_rows_that_cannot_be_predicted_are_grouped(tmp_path: Path) -> None:
    text = told(tmp_path, "validate", "-q", "--ledger", ledger(tmp_path, chip="ax999"), code=1)
    assert len(text.splitlines()) == 1
    assert "rows like it" in text


def test_rows_of_impossible_sizes(tmp_path: Path) -> None:
    name = ledger(
        tmp_path,
        metric="prefill_layer_ms",
        model="Qwen3-0.6B",
        prefill_chunk="1000000",
        cached_tokens="1000000",
    )
    given = ("validate", "--ledger", name, "--json", "-")
    with limits():
        found = outcome(given, tmp_path)
    assert found.code == 1, found
    assert not found.faults
    rows = json.loads(found.stdout)  # whole, and nothing else on stdout
    assert all(row["predicted"] is None and row["reason"] for row in rows)


def test_a_row_that_is_not_there(tmp_path: Path) -> None:
    text = told(tmp_path, "validate", "--explain", "P01")
    assert "nearest: P1" in text
    assert "axsim validate lists them" in text
    assert "P001 to P" in told(tmp_path, "validate", "--explain", "NOPE")


def test_a_folder_without_networks(tmp_path: Path) -> None:
    text = told(tmp_path, "validate", "--graphs", ".")
    assert text == "error: --graphs .: the folder holds no file NAME.onnx\n"


@pytest.mark.parametrize(
    "change",
    [
        {"timings": 7},
        {"timings": {"a": "x"}},
        {"timings": {"a": {"ttft_ms": 10**400}}},
        {"asked": {}},
        {"parameters": []},
        {"axsim": None},
    ],
)
def test_a_baseline_that_somebody_has_touched(change: dict[str, Any], folder: Path) -> None:
    told(folder, "snapshot", "w.yaml", "--chip", "ax630c", "-o", "b.json", code=0)
    document = json.loads((folder / "b.json").read_text())
    base.write(folder, "b.json", json.dumps({**document, **change}))
    assert next(iter(change)) in told(folder, "check", "b.json")


def test_no_variants_at_all(folder: Path) -> None:
    with pytest.raises(InputError, match="variants: found none"):
        axsim.run(folder / "w.yaml", "ax630c", variants=[], timing_only=True)


def test_a_log_of_no_chunk(tmp_path: Path) -> None:
    base.write(tmp_path, "a.log", "prefill_token_num : 0\ninput token num : 5\nttft: 1.0 ms\n")
    told(tmp_path, "ledger", "import", "a.log", "--chip", "ax650n", "--model", "m", code=0)


def test_a_journal_that_somebody_has_touched(folder: Path) -> None:
    lines = [
        '{"point": {}, "rows": []}',
        '{"point": "a", "rows": 7}',
        '{"point": "a", "rows": [1]}',
        "[" * 10_000,
        "7",
        "\x00",
    ]
    base.write(folder, "o.csv.journal", "\n".join([*lines, ""]))
    told(folder, "sweep", *TINY[:4], "-j", "1", "-o", "o.csv", "--resume", code=0)


# Names


def test_formulas_are_no_formulas_in_a_table(folder: Path) -> None:
    document = yaml.safe_load((folder / "w.yaml").read_text())
    document["variants"] = [{"name": "=1+1", "set": {}}, {"name": "@x", "set": {}}]
    base.write(folder, "w.yaml", yaml.safe_dump(document))
    told(folder, "run", *TINY[:4], "-q", "--csv", "o.csv", code=0)
    lines = (folder / "o.csv").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == ["variant", "'=1+1", "'@x"]


@pytest.mark.fuzz
def test_names_in_a_page_are_text(folder: Path) -> None:
    document = yaml.safe_load((folder / "w.yaml").read_text())
    document["name"] = "<script>alert(1)</script>"
    base.write(folder, "w.yaml", yaml.safe_dump(document))
    told(folder, "report", *TINY[:4], "-o", "o.html", code=0)
    assert "<script>alert" not in (folder / "o.html").read_text()


def test_arguments_that_are_none() -> None:
    for given, name in (((None, "ax630c"), "workload"), (("qwen3_0_6b", None), "chip")):
        with pytest.raises(InputError, match=f"{name}: found null; allowed: a name, a path"):
            axsim.run(*given, timing_only=True)  # type: ignore[arg-type]


def test_faults_are_recognised() -> None:
    """The judge of all campaigns says so when something is wrong."""

    def faults(code: int = 0, stdout: str = "", stderr: str = "", error: str = "") -> list[str]:
        return Outcome(["run", "--json", "-"], code, stdout, stderr, error, 0.1).faults

    assert not faults(2, stderr="error: x\n")
    assert faults(error="KeyError")
    assert faults(2)
    assert faults(3, stderr="error: x")
    assert faults(2, stderr="error: x\n" * 50)
    assert faults(2, stderr="error: \x1b[31m\n")
    assert faults(0, stdout="{")
    assert faults(0, stdout='{"variants": [{"predictions": {"ttft_ms": {"value": NaN}}}]}')
    assert faults(0, stdout='{"variants": [{"predictions": {"ttft_ms": {"value": 1e30}}}]}')
