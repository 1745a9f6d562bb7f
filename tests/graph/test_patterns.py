"""Chains give what the single operators give, and never hide a kept tensor."""

import numpy as np
import pytest

from axsim.graph.ir import Graph
from axsim.graph.patterns import Chains
from axsim.models.config import ModelConfig
from axsim.models.decoder import decoder_layer_graph
from axsim.models.vision import vision_graph
from axsim.models.weights import layer_weights
from axsim.numerics.executor import Executor
from axsim.numerics.float32 import Float32
from tests.models.seeded import DECODERS, INTERNVL, SeededWeights, embeddings, image


def made(graph: Graph) -> list[str]:
    return [o for n in graph.nodes for o in n.outputs]


def both(graph, weights, inputs):
    fused = Executor(graph, weights).run_all(inputs)
    plain = Executor(graph, weights, keep=made(graph)).run_all(inputs)
    return fused, plain


def test_vision_chains():
    graph = vision_graph(INTERNVL.vision, 112, INTERNVL.projector)
    weights = SeededWeights(INTERNVL)
    fused, plain = both(graph, weights, {"input": image(112)})
    np.testing.assert_allclose(fused["output"], plain["output"], atol=3e-6)
    chains = Chains(graph, graph.outputs)
    assert len(chains.attentions()) == 3
    # proj, fc1 and fc2 of three layers, and the projector's first Gemm.
    assert sum(len(c) > 1 for c in chains.products(["Gemm"], ["Add", "Mul", "Gelu"])) == 10


@pytest.mark.parametrize("family", DECODERS)
@pytest.mark.parametrize(("new", "cached"), [(9, 0), (9, 7), (1, 16)])
def test_decoder_chains(family, new, cached):
    cfg = DECODERS[family]
    graph = decoder_layer_graph(cfg, new, cached)
    cache = graph.tensors["K_cache"].shape
    mask = np.where(np.tri(new, cached + new, cached, dtype=bool), 0, -65536)
    inputs = {
        "K_cache": embeddings(cache[1], cache[2])[None],
        "V_cache": -embeddings(cache[1], cache[2])[None],
        "indices": np.arange(cached, cached + new, dtype=np.uint32)[None],
        "input": embeddings(new, cfg.hidden_size)[None],
        "mask": mask.astype(np.float32)[None],
    }
    fused, plain = both(graph, layer_weights(SeededWeights(ModelConfig(cfg)), 0), inputs)
    for name in graph.outputs:
        np.testing.assert_allclose(fused[name], plain[name], atol=3e-6, err_msg=name)


def test_a_kept_tensor_is_not_hidden():
    graph = decoder_layer_graph(DECODERS["qwen2"], 4, 0)
    assert Chains(graph, ()).attentions()
    assert not Chains(graph, ("attn.softmax",)).attentions()
    whole = Float32().steps(graph, ())
    kept = Float32().steps(graph, ("mlp.silu", "attn.residual"))
    assert whole["mlp.silu"] is None
    assert kept["mlp.silu"] is not None
    assert kept["attn.residual"] is not None


def test_every_tensor_left_over_is_made_once():
    for graph in (
        vision_graph(INTERNVL.vision, 112, INTERNVL.projector),
        *(decoder_layer_graph(cfg, 4, 4) for cfg in DECODERS.values()),
    ):
        steps = Float32().steps(graph, graph.outputs)
        outputs = [o for s in steps.values() if s is not None for o in s.outputs]
        assert len(outputs) == len(set(outputs))
        needed = {i for s in steps.values() if s is not None for i in s.inputs}
        given = {n for n, t in graph.tensors.items() if t.kind in ("input", "weight", "constant")}
        assert needed | set(graph.outputs) <= given | set(outputs)
