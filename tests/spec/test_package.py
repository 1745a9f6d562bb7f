"""Packages of the vendor's runtime: what names, sizes and config.json tell of a build."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import axsim
from axsim.errors import InputError
from axsim.models.config import ModelConfig
from axsim.models.weights import tensor_shapes
from axsim.spec.from_checkpoint import workload_text
from axsim.spec.package import find_package
from axsim.spec.workload import Workload, load_workload
from tests.cli.command import axsim as command
from tests.models.seeded import INTERNVL
from tests.models.writing import decoder_json, internvl_chat_json

DECODER = INTERNVL.decoder
assert DECODER is not None
ALONE = ModelConfig(DECODER)
LAYERS = DECODER.num_hidden_layers
WEIGHTS = sum(
    rows * columns
    for name, (rows, columns) in (
        (name, shape) for name, shape in tensor_shapes(ALONE).items() if len(shape) == 2
    )
    if ".layers.0." in name
)


def package(
    folder: Path,
    model: ModelConfig = ALONE,
    each: float = 1.15,
    prefix: str = "q_p64",
    **runtime: Any,
) -> Path:
    """A package whose layers take so many bytes a weight; sparse files."""
    (folder / "compiled").mkdir(parents=True)
    (folder / "tokenizer").mkdir()
    for layer in range(LAYERS):
        with (folder / "compiled" / f"q_p64_l{layer}_together.axmodel").open("wb") as file:
            file.truncate(int(each * WEIGHTS))
    (folder / "compiled" / "q_post.axmodel").write_bytes(b"")
    description = internvl_chat_json(model) if model.vision else decoder_json(DECODER)
    (folder / "tokenizer" / "config.json").write_text(json.dumps(description))
    if runtime:
        (folder / "config.json").write_text(json.dumps(runtime))
    return folder


def imported(folder: Path) -> Workload:
    path = folder / "workload.yaml"
    path.write_text(workload_text(folder))
    return load_workload(path)


def test_names_tell_chunk_and_layers_and_config_the_rest(tmp_path) -> None:
    groups = [1, 128, 192]
    runtime = {"axmodel_num": LAYERS, "kv_cache_num": 255, "prefill_token_num": 64}
    folder = package(tmp_path / "Q-64", **runtime, prefill_max_kv_cache_num_grp=groups)
    found = find_package(folder)
    assert found is not None
    assert (found.prefix, found.chunk, found.layers) == ("q", 64, LAYERS)
    assert (found.kv_cache_len, found.histories) == (255, (1, 128, 192))
    workload = imported(folder)
    assert workload.name == "Q-64"
    assert workload.model.config() == ALONE
    build = workload.variant("s8").build
    assert (build.prefill_chunk, build.kv_cache_len) == (64, 255)
    assert build.prefill_history == (1, 128, 192)
    (result,) = axsim.run(workload, "ax650n", timing_only=True)
    assert result.prefill_chunks == 2


@pytest.mark.parametrize(
    ("each", "dtype"), [(0.6, "s4"), (0.8, "s4"), (1.12, "s8"), (1.34, "s8"), (2.05, "bf16")]
)
def test_the_size_of_a_layer_tells_the_weights(tmp_path, each: float, dtype: str) -> None:
    folder = package(tmp_path / "p", each=each, kv_cache_len=300)
    workload = imported(folder)
    assert workload.variant_names == (dtype,)
    assert workload.build.weight_dtype == dtype
    assert "MB a layer" in workload_text(folder)


def test_what_nothing_tells_is_called_assumed(tmp_path) -> None:
    text = workload_text(package(tmp_path / "p", each=0))
    assert text.count("# assumed") == 3  # weights, KV cache, toolchain
    assert "from the package p (model_type" in text


def test_on_the_command_line(tmp_path) -> None:
    folder = package(tmp_path / "p", kv_cache_len=300)
    text = command("import", folder).stdout
    assert text == workload_text(folder)
    assert "# names of the layers' files" in text


def test_with_a_vision_part_the_chunk_is_the_packages(tmp_path) -> None:
    workload = imported(package(tmp_path / "p", INTERNVL, max_token_len=511))
    for variant in workload.expand().values():
        assert variant.build.prefill_chunk == 64
        assert variant.build.kv_cache_len == 511


def test_a_folder_without_layers_is_no_package(tmp_path) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert find_package(tmp_path) is None
    assert find_package(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("runtime", "said"),
    [
        ({"axmodel_num": 99}, "axmodel_num: found 99, but the names of the files say"),
        ({"prefill_token_num": 128}, "prefill_token_num: found 128, but the names"),
        ({"kv_cache_num": "many"}, "kv_cache_num: found 'many'; allowed: a whole number"),
        ({"prefill_max_kv_cache_num_grp": [512, 1]}, "allowed: lengths in ascending order"),
        ({"prefill_max_kv_cache_num_grp": []}, "found []"),
    ],
)
def test_what_contradicts(tmp_path, runtime: dict[str, Any], said: str) -> None:
    folder = package(tmp_path / "p", **runtime)
    with pytest.raises(InputError) as error:
        find_package(folder)
    assert said in str(error.value)
    assert "config.json" in str(error.value)


def test_what_is_missing(tmp_path) -> None:
    folder = package(tmp_path / "p")
    (folder / "compiled" / "q_p64_l0_together.axmodel").unlink()
    with pytest.raises(InputError, match="a layer is missing: q_p64_l0_together"):
        find_package(folder)
    (folder / "compiled" / f"q_p64_l{10**15}_together.axmodel").write_bytes(b"")
    with pytest.raises(InputError, match="a layer is missing: q_p64_l0_together"):
        find_package(folder)
    folder = package(tmp_path / "again")
    (folder / "compiled" / "q_p64_l00_together.axmodel").write_bytes(b"")
    with pytest.raises(InputError, match="a layer is there twice: q_p64_l0_together"):
        find_package(folder)
    folder = package(tmp_path / "two")
    (folder / "q_p128_l0_together.axmodel").write_bytes(b"")
    with pytest.raises(InputError, match="holds several builds: q_p64, q_p128"):
        find_package(folder)
    folder = package(tmp_path / "bare")
    (folder / "tokenizer" / "config.json").unlink()
    with pytest.raises(InputError, match=r"the model's own config\.json"):
        find_package(folder)
