"""Parameters of published shapes, from config.json alone."""

import json
from math import prod
from pathlib import Path

import pytest

from axsim.models.defaults import DECODER_DEFAULTS, VISION_DEFAULTS
from axsim.models.hf_config import model_config
from axsim.models.weights import tensor_shapes

PUBLISHED = json.loads((Path(__file__).parent / "published.json").read_text(encoding="utf-8"))
"""Keys of config.json as models of these shapes publish them, and what transformers counts."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_are_those_that_transformers_counts(name):
    shapes = tensor_shapes(model_config(PUBLISHED[name]["config"]))
    assert sum(map(prod, shapes.values())) == PUBLISHED[name]["parameters"]


@pytest.mark.oracle
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_recorded_counts(name):
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    description = PUBLISHED[name]["config"]
    config = transformers.CONFIG_MAPPING[description["model_type"]].from_dict(dict(description))
    auto = transformers.AutoModelForCausalLM
    if "vision_config" in description:
        auto = transformers.AutoModelForImageTextToText
    elif "vocab_size" not in description:
        auto = transformers.AutoModel
    with torch.device("meta"):
        model = auto.from_config(config)
    assert sum(p.numel() for p in model.parameters()) == PUBLISHED[name]["parameters"]


@pytest.mark.oracle
@pytest.mark.parametrize("kind", [*DECODER_DEFAULTS, *VISION_DEFAULTS])
def test_defaults_are_those_of_transformers(kind):
    transformers = pytest.importorskip("transformers")
    if kind not in transformers.CONFIG_MAPPING:
        outer = {"internvl_vision": "internvl"}.get(kind, kind.rpartition("_")[0])
        if outer not in transformers.CONFIG_MAPPING:
            pytest.skip("its code is published beside its weights")
        config = transformers.CONFIG_MAPPING[outer]().to_dict()
        part = "text_config" if kind.endswith("_text") else "vision_config"
        config = config[part]
    else:
        try:
            config = transformers.CONFIG_MAPPING[kind]().to_dict()
        except TypeError:
            pytest.skip("transformers' own defaults make no model")
    rope = config.get("rope_parameters") or {}
    rope = rope.get("full_attention", rope) | {"rope_local_base_freq": _local(rope)}
    ours = DECODER_DEFAULTS.get(kind) or VISION_DEFAULTS[kind]
    for key, value in ours.items():
        theirs = config.get(key, rope.get(key))
        theirs = list(theirs) if isinstance(theirs, tuple) else theirs
        if (kind, key) not in IN_CODE and key != "sliding_window_pattern":  # a list of layers now
            assert theirs == value, key


IN_CODE = {("olmo", "layer_norm_eps"), ("paddleocr_vl_text", "mrope_section")}
"""What the code of a model says and its configuration does not."""


def _local(rope):
    return (rope.get("sliding_attention") or {}).get("rope_theta")
