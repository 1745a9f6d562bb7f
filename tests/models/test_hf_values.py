"""config.json with values that no model has: one clear message each, or a workload that loads."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest

from axsim.errors import InputError
from axsim.models.hf_config import assumed_sizes
from axsim.models.hf_values import KINDS, check_values
from axsim.spec.descriptor import load
from axsim.spec.from_checkpoint import workload_text
from axsim.spec.workload import Workload
from tests.models.small import DECODERS
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
    configs = [*JOINED.values(), *ALONE.values(), *DECODERS.values()]
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
