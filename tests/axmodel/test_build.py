"""``axsim build``: what is written, how large, what is kept, what is refused."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest
from ml_dtypes import bfloat16

from axsim.axmodel.archive import Archive
from axsim.axmodel.model import Model
from axsim.compiler.partition import Deployment
from axsim.models.config import ModelConfig
from axsim.spec.chip import load_chip
from axsim.spec.workload import load_workload
from tests.cli.command import axsim
from tests.models import layouts
from tests.models.seeded import SeededWeights
from tests.models.writing import decoder_json, stored, write
from tests.runs import tiny
from tests.runs.talking import write_model

BUILT = (
    "qwen2_vision_part_56.axmodel",
    "qwen2_p8_l0_together.axmodel",
    "qwen2_p8_l1_together.axmodel",
    "qwen2_post.axmodel",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A workload, and in ``files`` its build for AX630C."""
    folder = tmp_path_factory.mktemp("build")
    tiny.write(folder)
    out = axsim("build", folder / "tiny.yaml", "--chip", "ax630c", "-o", folder / "files").stdout
    (folder / "said").write_text(out)
    return folder


def test_files_are_laid_out_as_the_vendors_tools_do(folder):
    names = {path.name for path in (folder / "files").iterdir()}
    table = "model.embed_tokens.weight"
    assert names == {*BUILT, f"{table}.npy", f"{table}.bfloat16.bin", "config.json"}
    plain = np.load(folder / "files" / f"{table}.npy")
    packed = np.fromfile(folder / "files" / f"{table}.bfloat16.bin", np.uint16).view(bfloat16)
    assert plain.dtype == np.float32
    assert np.array_equal(packed.astype(np.float32), plain.reshape(-1))
    config = json.loads((folder / "files" / "config.json").read_text())
    assert config["llm_config"]["num_hidden_layers"] == 2


def test_each_file_is_compared_with_float32(folder):
    lines = (folder / "said").read_text().splitlines()
    told = {n: float(line.split()[-1]) for n in BUILT for line in lines if n in line}
    assert told.keys() == set(BUILT)
    assert all(0.98 < value < 1 for value in told.values())  # 1 would be float32 itself
    assert "on synthetic weights" in lines[-1]


def test_a_file_is_as_large_as_the_chip_stores_it(tmp_path):
    keys = {"model.decoder.num_hidden_layers": 1, "model.decoder.vocab_size": 512}
    settings = [each for key, value in keys.items() for each in ("--set", f"{key}={value}")]
    arguments = "qwen3_0_6b", "--chip", "ax650n", "-o", tmp_path, "--no-check", "--quiet"
    assert axsim("build", *arguments, *settings).stdout == ""
    deployment = Deployment(load_workload("qwen3_0_6b", keys), load_chip("ax650n"))
    for name, subgraph in (("p128_l0_together", deployment.decode), ("post", deployment.post)):
        size = (tmp_path / f"qwen3_{name}.axmodel").stat().st_size
        assert size == pytest.approx(subgraph.stored_bytes, rel=2e-3)


def test_a_build_that_is_there_is_kept_and_a_broken_file_is_made_again(folder, tmp_path):
    axsim("build", folder / "tiny.yaml", "--chip", "ax630c", "-o", tmp_path, "--no-check")
    whole = {name: (tmp_path / name).read_bytes() for name in BUILT}
    broken = tmp_path / BUILT[2]
    broken.write_bytes(whole[BUILT[2]][:-2000])
    (tmp_path / BUILT[3]).unlink()
    out = axsim("build", folder / "tiny.yaml", "--chip", "ax630c", "-o", tmp_path, "--no-check")
    kept = [name for name in BUILT for line in out.stdout.splitlines() if f"{name} " in line
            and line.endswith("kept")]  # fmt: skip
    assert kept == [BUILT[0], BUILT[1]]
    assert {name: (tmp_path / name).read_bytes() for name in BUILT} == whole
    other = ("--set", "build.weight_dtype=s4")
    out = axsim(
        "build", folder / "tiny.yaml", "--chip", "ax630c", "-o", tmp_path, "--no-check", *other
    )
    assert "kept" not in out.stdout


def test_an_interrupted_build_leaves_no_half_file(folder, tmp_path, monkeypatch):
    from axsim.axmodel import archive

    real, calls = archive.Writer.add, []

    def add(self, array):
        calls.append(array)
        if len(calls) == 60:
            raise KeyboardInterrupt
        return real(self, array)

    monkeypatch.setattr(archive.Writer, "add", add)
    arguments = "build", folder / "tiny.yaml", "--chip", "ax630c", "-o", tmp_path, "--no-check"
    told = axsim(*arguments, code=130).stderr
    assert "goes on from here" in told
    left = sorted(path.name for path in tmp_path.iterdir())
    assert 0 < len(left) < len(BUILT)
    for name in left:
        assert name in BUILT
        Archive(tmp_path / name)
    monkeypatch.undo()
    assert f"{BUILT[0]} " in axsim(*arguments).stdout
    assert {*BUILT} < {path.name for path in tmp_path.iterdir()}


@pytest.mark.parametrize("dtype", ["s8", "s4", "bf16"])
def test_weights_come_back_as_they_were_stored(folder, tmp_path, dtype):
    keys = "--set", f"build.weight_dtype={dtype}", "--set", f"build.post_weight_dtype={dtype}"
    arguments = folder / "tiny.yaml", "--chip", "ax650n", "-o", tmp_path, *keys
    lines = axsim("build", *arguments).stdout.splitlines()
    least = {"s8": 0.9998, "s4": 0.98, "bf16": 0.99999}[dtype]
    layers = [float(line.split()[-1]) for line in lines if "_together" in line]
    assert all(least < each for each in layers)
    kinds = {each["dtype"] for each in Archive(tmp_path / BUILT[1]).manifest["tensors"].values()}
    assert kinds == {dtype, "plain"}


@pytest.mark.parametrize("dtype", ["u8", "u16", "bf16"])
def test_a_picture_in_bytes_and_one_that_is_normalised_are_the_same(folder, tmp_path, dtype):
    found = []
    picture = np.random.default_rng(1).integers(0, 256, (1, 56, 56, 3), np.uint8)
    for form in ("uint8", "float32"):
        keys = "--variant", "u8", "--set", f"build.vision_dtype={dtype}", "--picture", form
        out = tmp_path / form
        axsim("build", folder / "tiny.yaml", "--chip", "ax630c", "-o", out, "--no-check", *keys)
        model = Model(out / BUILT[0], load_chip("ax630c"))
        (argument,) = model.inputs(0)
        fed = picture
        if form == "float32":
            normalised = (picture / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
            fed = normalised.transpose(0, 3, 1, 2).astype(np.float32)
        assert (argument.shape, argument.dtype) == (fed.shape, fed.dtype)
        assert argument.name == {"uint8": "input", "float32": "image"}[form]
        found.append(model.run(0, {argument.name: fed})["output"])
        if form == "float32":  # a file takes both forms
            found.append(model.run(0, {argument.name: picture})["output"])
    assert all(np.array_equal(found[0], each) for each in found)
    assert found[0].dtype == (bfloat16 if dtype == "bf16" else np.float32)


def test_a_checkpoint_is_built_with_its_tokenizer(tmp_path):
    write_model(tmp_path / "checkpoint")
    keys = "--set", "build.prefill_chunk=64", "--set", "build.kv_cache_len=127"
    arguments = tmp_path / "checkpoint", "--chip", "ax650n", "-o", tmp_path / "out", "--no-check"
    told = axsim("build", *arguments, *keys, code=2).stderr
    assert "need pictures: --images DIR; --calibrate-on seeded insists" in told
    axsim("build", *arguments, *keys, "--prefix", "mine", "--calibrate-on", "seeded")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"tokenizer.json", "config.json", "mine_p64_l1_together.axmodel"} < names
    assert not any(name.endswith(".safetensors") for name in names)


def test_a_short_cache_is_built_from_a_checkpoint(tmp_path):
    write(tmp_path / "checkpoint", decoder_json(tiny.DECODER), _tensors())
    asked = "build", tmp_path / "checkpoint", "--chip", "ax650n", "-o", tmp_path / "out"
    axsim(*asked, "--no-check", "--set", "build.kv_cache_len=15", "--set", "build.prefill_chunk=8")
    model = Model(tmp_path / "out" / BUILT[1], load_chip("ax650n"))
    assert [model.inputs(group)[0].shape for group in (0, 2)] == [(1, 15, 16), (1, 8, 16)]


def _tensors():
    model = ModelConfig(tiny.DECODER)
    return stored(SeededWeights(model), model, layouts.PLAIN)


def test_groups_reach_as_far_as_the_cache(folder):
    model = Model(folder / "files" / BUILT[1], load_chip("ax630c"))
    assert len(model.groups) == 1 + 5  # a cache of 40 is 5 chunks of 8
    shapes = [[argument.shape for argument in model.inputs(group)] for group in (0, 1, 5)]
    assert shapes == [
        [(1, 40, 16), (1, 40, 16), (1, 1), (1, 1, 32), (1, 1, 41)],
        [(1, 1, 32), (1, 1, 32), (1, 8), (1, 8, 32), (1, 8, 8)],
        [(1, 32, 16), (1, 32, 16), (1, 8), (1, 8, 32), (1, 8, 40)],
    ]


def test_groups_have_the_histories_that_are_compiled(folder, tmp_path):
    keys = "--set", "build.prefill_history=[0, 24]", "--no-check"
    axsim("build", folder / "tiny.yaml", "--chip", "ax630c", "-o", tmp_path, *keys)
    model = Model(tmp_path / BUILT[1], load_chip("ax630c"))
    assert len(model.groups) == 3
    assert [model.inputs(group)[0].shape for group in (1, 2)] == [(1, 1, 32), (1, 24, 16)]


def test_a_full_disk_is_one_clear_error(folder, tmp_path, monkeypatch):
    from axsim.axmodel import archive

    def add(self, array):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(archive.Writer, "add", add)
    arguments = "build", folder / "tiny.yaml", "--chip", "ax630c", "-o", tmp_path, "--no-check"
    told = axsim(*arguments, code=2).stderr
    assert told == f"error: cannot write {tmp_path / BUILT[0]}: No space left on device\n"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("vendor.axmodel",),
            "this is Axera's compiled format; build it from ONNX",
        ),
        (("files/qwen2_post.axmodel",), "is built already; axsim exec runs it"),
        (("nowhere.axmodel",), "no such file"),
        (("tiny.yaml", "--prefix", "../x"), "--prefix ../x: it begins the names of files"),
        (("tiny.yaml", "--mean", "1,2"), "--mean 1,2: not three numbers"),
        (("tiny.yaml", "--samples", "a.npz"), "--samples is for a network from an ONNX file"),
        (("tiny.yaml", "--checkpoint", "nowhere"), "no such folder: nowhere"),
    ],
)
def test_wrong_input(folder, arguments, message):
    (folder / "vendor.axmodel").write_bytes(b"\x08\x0a\x12\x07Pulsar2\x1a\x033.3" + bytes(999))
    arguments = "build", *arguments, "--chip", "ax630c", "-o", "other"
    assert message in axsim(*arguments, code=2, folder=folder).stderr
    assert zipfile.is_zipfile(folder / "files" / BUILT[3])
