"""MiniCPM-V's resampler against torch's own attention."""

import numpy as np
import pytest

from axsim.graph.builder import GraphBuilder
from axsim.models.config import ProjectorConfig
from axsim.models.hf_config import model_config
from axsim.models.layout import layout_of
from axsim.models.resampler import resample_rows, sines
from axsim.models.weights import tensor_shapes
from axsim.numerics.executor import Executor
from tests.models.running import relative
from tests.models.seeded import uniform

GRID, WIDTH, QUERIES = (3, 5), 256, 6
TINY = {
    "model_type": "minicpmv", "architectures": ["MiniCPMV"], "query_num": 6, "image_size": 56,
    "hidden_size": 256, "intermediate_size": 96, "num_hidden_layers": 1, "vocab_size": 99,
    "num_attention_heads": 4, "num_key_value_heads": 2, "drop_vision_last_layer": True,
    "vision_config": {
        "model_type": "siglip_vision_model", "hidden_size": 48, "intermediate_size": 64,
        "num_hidden_layers": 3, "num_attention_heads": 4, "patch_size": 14, "image_size": 98,
    },
}  # fmt: skip


@pytest.mark.oracle
def test_it_is_attention_of_learnt_queries():
    torch = pytest.importorskip("torch")
    b = GraphBuilder("resampler")
    x = b.input("x", (15, 48))
    projector = ProjectorConfig(WIDTH, 1.0, layer_norm_eps=1e-6, queries=QUERIES)
    graph = b.build([resample_rows(b, projector, GRID, x)])
    values = {t.name: uniform(t.name, t.shape).astype(np.float32) for t in graph.weights()}
    rows = uniform("rows", (15, 48)).astype(np.float32)
    (got,) = Executor(graph, values.__getitem__).run_all({"x": rows}).values()

    w = {name.removeprefix("resampler."): torch.from_numpy(v) for name, v in values.items()}
    attention = torch.nn.MultiheadAttention(WIDTH, WIDTH // 128)
    attention.load_state_dict(
        {
            "in_proj_weight": torch.cat([w[f"{p}.weight"] for p in "qkv"]),
            "in_proj_bias": torch.cat([w[f"{p}.bias"] for p in "qkv"]),
            "out_proj.weight": w["proj.weight"],
            "out_proj.bias": w["proj.bias"],
        }
    )

    def norm(x, name):
        return torch.nn.functional.layer_norm(
            x, (WIDTH,), w[f"{name}.weight"], w[f"{name}.bias"], 1e-6
        )

    with torch.no_grad():
        kv = norm(torch.from_numpy(rows) @ w["kv_proj.weight"].T, "ln_kv")
        keys = kv + torch.from_numpy(sines(WIDTH, GRID))
        out = attention(norm(w["query"], "ln_q"), keys, kv)[0]
        expected = norm(out, "ln_post") @ w["out.weight"].T
    assert relative(got, expected.numpy()) <= 1e-5


def test_positions_tell_columns_then_rows():
    table = sines(16, (2, 3))
    np.testing.assert_allclose(table[5, :4], np.sin(2 * 10.0 ** -np.arange(4)), rtol=1e-6)
    np.testing.assert_allclose(table[5, 12:], np.cos(1 * 10.0 ** -np.arange(4)), rtol=1e-6)


def test_config_json_and_the_names_of_its_tensors():
    config = model_config(TINY)
    assert config.vision.num_hidden_layers == 2
    assert (config.vision.image_size, config.vision.position_size) == (56, 98)
    assert config.image_tokens(56) == 6
    layout = layout_of(["vpm.x"], TINY)
    names = {s.name for name in tensor_shapes(config) for s in layout.sources(config, name)}
    assert {
        "vpm.embeddings.position_embedding.weight", "vpm.encoder.layers.1.mlp.fc2.bias",
        "resampler.attn.in_proj_weight", "resampler.attn.out_proj.bias", "resampler.proj",
        "resampler.query", "resampler.kv_proj.weight", "resampler.ln_post.bias",
        "llm.model.layers.0.self_attn.q_proj.bias", "llm.lm_head.weight",
    } <= names  # fmt: skip
    assert tensor_shapes(config)["vision_model.embeddings.position_embedding"] == (1, 49, 48)
