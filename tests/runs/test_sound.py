"""An encoder of sound and a decoder that attends to it, from config.json to tokens."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path

import pytest

import axsim
from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.models.hf_config import model_config
from axsim.models.weights import tensor_shapes
from axsim.spec.chip import load_chip
from axsim.spec.descriptor import load
from axsim.spec.from_checkpoint import workload_text
from axsim.spec.workload import Workload
from tests.models.small import WHISPER

BUILD = {"prefill_chunk": 4, "kv_cache_len": 22}


def asked(**request: object) -> Workload:
    keys = {"text_tokens": 4, "new_tokens": 3, **request}
    return Workload.of("heard", model_config(WHISPER), build=BUILD, request=keys)


@pytest.mark.parametrize("dtype", ["u8", "u16", "bf16"])
def test_it_runs_in_every_arithmetic(dtype: str) -> None:
    (found,) = axsim.run(asked(), "ax650n", overrides={"build.vision_dtype": dtype})
    assert found.numerics.vision_cosine > 0.999
    assert found.numerics.logits_cosine > 0.999
    assert len(found.numerics.tokens) == 3
    assert [stage.name for stage in found.breakdown] == [
        "preprocess", "vision", "prefill", "post", "decode",
    ]  # fmt: skip
    assert found.workload.prompt_tokens == 4  # what was heard stands in no prompt


def test_a_later_turn_attends_to_the_same_sound() -> None:
    turns = ({"text_tokens": 4, "images": 1}, {"text_tokens": 2})
    (found,) = axsim.run(asked(text_tokens=None, turns=turns), "ax650n")
    assert len(found.later[0].numerics.tokens) == 3


def test_keys_and_values_of_the_encoder_stay_in_memory() -> None:
    memory = Deployment(asked(), load_chip("ax650n")).memory
    assert memory.kv_cache == 2 * 3 * (22 + 20) * 64 * 2  # K and V of 3 layers in bf16


def test_import_writes_a_workload_that_loads(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(WHISPER | {"max_target_positions": 48}))
    (tmp_path / "w.yaml").write_text(workload_text(tmp_path))
    written = load(Workload, tmp_path / "w.yaml")
    assert (written.image_size, written.prompt_tokens) == (40, 4)
    assert written.build.kv_cache_len == 47
    assert written.variant_names == ("40-u8", "40-u16")


@pytest.mark.parametrize(
    ("width", "layers", "bins", "words", "parameters"),
    [(384, 4, 80, 51865, 37_760_640), (768, 12, 80, 51865, 241_734_912),
     (1280, 32, 128, 51866, 1_543_490_560)],
)  # fmt: skip
def test_parameters_of_the_released_models(width, layers, bins, words, parameters) -> None:
    """Tiny, small and large-v3, as transformers counts them."""
    config = {
        "model_type": "whisper", "d_model": width, "encoder_layers": layers,
        "decoder_layers": layers, "encoder_attention_heads": width // 64,
        "decoder_attention_heads": width // 64, "encoder_ffn_dim": 4 * width,
        "decoder_ffn_dim": 4 * width, "num_mel_bins": bins, "vocab_size": words,
    }  # fmt: skip
    assert sum(map(prod, tensor_shapes(model_config(config)).values())) == parameters


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"images": 2}, "request.images: .*allowed: 1 before the first turn"),
        ({"images": 0}, "request.images: .*allowed: 1 before the first turn"),
        ({"image_size": 20}, "request.image_size: found 20; allowed: 40 frames"),
        ({"cached_tokens": 4}, "request.cached_tokens: has nothing to attend to"),
    ],
)
def test_what_cannot_be_heard(keys: dict[str, int], message: str) -> None:
    with pytest.raises(InputError, match=message):
        asked(**keys)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("build.kv_cache_len", 24, "found 24; allowed: up to 23, less than position_rows"),
        ("model.projector.cross_layers", 2, "found 2; allowed: 3, the decoder's layers"),
        ("model.decoder.cross_tokens", 21, "found 21; allowed: 20, the rows of the tower"),
    ],
)
def test_parts_that_do_not_fit(key: str, value: int, message: str) -> None:
    with pytest.raises(InputError, match=f"{key}: {message}"):
        axsim.run(asked(), "ax650n", overrides={key: value}, timing_only=True)


def test_pictures_calibrate_no_encoder_of_sound(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match="pictures are nothing to an encoder of sound"):
        axsim.run(asked(), "ax650n", images=tmp_path)
