"""config.json with values that no model has: one clear message each, or a workload that loads."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from axsim.errors import InputError
from axsim.models.hf_config import assumed_sizes, model_config
from axsim.models.hf_values import KINDS, check_values
from axsim.spec.descriptor import load
from axsim.spec.from_checkpoint import workload_text
from axsim.spec.workload import Workload
from tests.models.small import DECODERS, WHISPER
from tests.models.small_vision import ALONE, JOINED

JUNK: tuple[Any, ...] = (
    True, False, 0, -1, 1.5, 1e308, -1e300, "x", "", [], {}, [1], {"a": 1}, None, float("nan"),
    2**70, [True], "8",
)  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("num_key_value_heads", True, "found true; allowed: a whole number of at least 1, or null"),
        ("intermediate_size", 0, "found 0; allowed: a whole number of at least 1"),
        ("num_hidden_layers", 10**9, "allowed: a whole number from 1 to 1000"),
        ("hidden_size", -1e300, "found -1e[+]300; allowed: a whole number"),
        ("rope_theta", 0.0, "found 0.0; allowed: a number greater than 0"),
        ("rope_scaling", "linear", "found .linear.; allowed: a mapping"),
        ("rope_scaling", [1], r"found \[1\]; allowed: a mapping"),
        ("vision_config", [], r"found \[\]; allowed: a mapping"),
        ("hidden_act", ["silu"], "allowed: text"),
        ("layer_types", "full_attention", "allowed: a list of text"),
        ("architectures", "Qwen2ForCausalLM", "allowed: a list of text"),
        ("force_image_size", [448], r"found \[448\]; allowed: a whole number"),
        ("vocab_size", "x" * 500, "x{59}…; allowed"),
    ],
)
def test_a_value_of_another_kind(key: str, value: object, message: str) -> None:
    with pytest.raises(InputError, match=f"^c.json: {key}: .*{message}"):
        check_values({"model_type": "qwen2", key: value}, "c.json")


def test_all_wrong_values_at_once_with_their_place() -> None:
    config = {"text_config": {"rope_scaling": {"factor": 0}}, "vocab_size": None}
    with pytest.raises(InputError) as error:
        check_values(config, "c.json")
    assert [problem.key for problem in error.value.problems] == [
        "text_config.rope_scaling.factor",
        "vocab_size",
    ]


def test_every_kind_allows_something_and_not_everything() -> None:
    good = (1, 2, 0.5, {}, "gelu", ["a"], [1], [1.0], None, [0, 1])
    for key, kind in KINDS.items():
        assert any(map(kind.holds, good)), key
        assert not all(map(kind.holds, JUNK)), key


def _paths(config: dict[str, Any], before: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    found = []
    for key, value in config.items():
        found.append((*before, key))
        if isinstance(value, dict):
            found += _paths(value, (*before, key))
    return found


def test_what_import_writes_loads(tmp_path: Path) -> None:
    """Junk in one key after the other: refused, or a workload that loads."""
    random = Random(0)
    configs = [*JOINED.values(), *ALONE.values(), *DECODERS.values(), WHISPER]
    written = 0
    for _ in range(150):
        config = copy.deepcopy(random.choice(configs))
        *above, last = random.choice(_paths(config))
        place = config
        for key in above:
            place = place[key]
        place[last] = random.choice(JUNK)
        (tmp_path / "config.json").write_text(json.dumps(config))
        try:
            text = workload_text(tmp_path)
        except InputError:
            continue
        (tmp_path / "w.yaml").write_text(text)
        load(Workload, tmp_path / "w.yaml")
        written += 1
    assert written > 15


def test_sizes_that_config_json_leaves_out() -> None:
    found = assumed_sizes({"model_type": "qwen2", "hidden_size": 896})
    assert found["num_hidden_layers"] == 32
    assert "hidden_size" not in found
    whole = {"model_type": "qwen2_vl", "text_config": {"vocab_size": 9}, "vision_config": {}}
    found = assumed_sizes(whole)
    assert found["vision_config.depth"] == 32
    assert found["text_config.hidden_size"] == 8192
    assert "text_config.vocab_size" not in found


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"model_type": "qwen3_moe", "num_experts": 128}, "model_type is 'qwen3_moe'"),
        ({"model_type": "mixtral"}, "model_type is 'mixtral'"),
        ({"model_type": "dbrx"}, "model_type is 'dbrx'"),
        ({"model_type": "new_kind", "n_routed_experts": 64}, "model_type is 'new_kind'"),
        ({"model_type": "llama", "num_local_experts": 8}, "num_local_experts is given"),
        ({"model_type": "minicpm", "moe_num_experts": 8}, "moe_num_experts is given"),
    ],
)
def test_mixtures_of_experts_are_refused(config: dict[str, Any], key: str) -> None:
    with pytest.raises(InputError, match=f"{key}; mixtures of experts are not supported"):
        model_config(config)
    assert model_config({"model_type": "llama", "num_experts": 1}).decoder is not None


def test_a_part_that_makes_pictures_is_counted_apart(tmp_path: Path) -> None:
    """Parameters as transformers counts those of JanusForConditionalGeneration."""
    text = {
        "model_type": "llama", "hidden_size": 2048, "num_hidden_layers": 24,
        "num_attention_heads": 16, "vocab_size": 102400, "intermediate_size": 5632,
    }  # fmt: skip
    config = {"model_type": "janus", "text_config": text, "vision_config": {}, "vq_config": {}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    told = "1,866,921,611 parameters, 113,996,427 of them in parts that are not deployed"
    assert told in workload_text(tmp_path)
