import numpy as np
import pytest

from axsim.kernels.arithmetic import round_bf16
from axsim.kernels.scratch import Scratch
from axsim.models.config import ModelConfig
from axsim.models.decoder import post_graph
from axsim.models.synthetic import SyntheticWeights
from axsim.models.weights import post_weights
from axsim.numerics import weight_only
from axsim.numerics.executor import Executor
from axsim.numerics.formats import assign_decoder
from axsim.numerics.matrix import Matrix, quantise_matrix
from axsim.numerics.stored import StoredWeights
from axsim.numerics.weight_only import WeightOnly, project
from tests.kernels.twins import kind  # noqa: F401  (a fixture)
from tests.numerics.models import DECODER, cosine, decoder

MODEL = ModelConfig(vision=None, projector=None, decoder=DECODER)


def run(new, cached, dtype, keep=(), stored=True):
    source = StoredWeights(SyntheticWeights(MODEL, 3), dtype) if stored else None
    graph, weights, inputs = decoder(new, cached, source)
    graph = assign_decoder(graph, dtype)
    executor = Executor(graph, weights, WeightOnly(), keep=keep)
    return executor.run_all(inputs), executor


def reference(new, cached):
    graph, weights, inputs = decoder(new, cached)
    return Executor(graph, weights).run_all(inputs)


@pytest.mark.parametrize(("new", "cached"), [(16, 0), (16, 16), (1, 63)])
@pytest.mark.parametrize(("dtype", "least"), [("bf16", 0.9999), ("s8", 0.9995), ("s4", 0.98)])
def test_near_float32_and_every_output_is_bf16(new, cached, dtype, least):
    found, _ = run(new, cached, dtype)
    for name, expected in reference(new, cached).items():
        assert cosine(found[name], expected) > least
        assert np.array_equal(round_bf16(found[name]), found[name])


def test_fewer_bits_are_worse():
    expected = reference(16, 0)["V_cache_out"]
    nearness = [cosine(run(16, 0, d)[0]["V_cache_out"], expected) for d in ("s4", "s8", "bf16")]
    assert nearness == sorted(nearness)


def test_weights_quantised_beforehand_or_at_use_give_the_same():
    before, at_use = run(4, 8, "s8")[0], run(4, 8, "s8", stored=False)[0]
    assert all(np.array_equal(before[n], at_use[n]) for n in before)


def test_rounding_happens_at_every_stored_tensor():
    names = ["attn.q_proj", "mlp.silu", "mlp.mul", "attn.softmax", "input_layernorm"]
    _, executor = run(16, 0, "s8", keep=names)
    for name in names:
        value = executor.fetch(name)
        assert np.array_equal(round_bf16(value), value)


@pytest.mark.parametrize("tokens", [1, 8, 9, 200])
@pytest.mark.parametrize("dtype", ["s8", "s4", "bf16", "f32"])
@pytest.mark.usefixtures("kind")
def test_projection_is_the_float64_product_rounded(tokens, dtype):
    rng = np.random.default_rng(tokens)
    w = quantise_matrix(rng.standard_normal((700, 384)).astype(np.float32), dtype)
    x = round_bf16(rng.standard_normal((tokens, 384)).astype(np.float32))
    bias = rng.standard_normal(700).astype(np.float32)
    y = project(x, w, bias, "bf16", Scratch())
    exact = x.astype(np.float64) @ w.dequantise().astype(np.float64).T + bias
    # float32 accumulation may move a value across a rounding boundary: one bf16 step at most
    assert np.all(np.abs(y - exact) <= np.abs(exact) * 2.0**-8 + 1e-4)
    assert np.mean(y == round_bf16(exact.astype(np.float32))) > 0.99


@pytest.mark.parametrize("mask", ["causal", "one query sees nothing"])
def test_attention_in_blocks_is_attention_at_once(monkeypatch, mask):
    graph, weights, inputs = decoder(40, 24)
    if mask != "causal":
        inputs["mask"][0, 30] = -65536
    graph = assign_decoder(graph)
    whole = Executor(graph, weights, WeightOnly(), keep=["attn.context"])
    whole.run_all(inputs)
    monkeypatch.setattr(weight_only, "_SLICE", 4 * 64 * 7)  # seven queries at once
    blocks = Executor(graph, weights, WeightOnly(), keep=["attn.context"])
    blocks.run_all(inputs)
    a, b = (e.fetch("attn.context") for e in (whole, blocks))
    assert np.all(np.abs(a - b) <= np.abs(a) * 2.0**-7 + 1e-6)
    assert np.mean(a == b) > 0.99


def test_the_head_gives_logits():
    weights = StoredWeights(SyntheticWeights(MODEL, 3))
    graph = assign_decoder(post_graph(DECODER))
    x = np.random.default_rng(1).standard_normal((1, 1, 128)).astype(np.float32)
    logits = Executor(graph, post_weights(weights, DECODER), WeightOnly()).run_all({"input": x})
    plain = Executor(post_graph(DECODER), post_weights(SyntheticWeights(MODEL, 3), DECODER))
    assert cosine(logits["output"], plain.run_all({"input": x})["output"]) > 0.999


def test_matrices_stay_quantised_in_memory():
    weights = StoredWeights(SyntheticWeights(MODEL, 3))
    matrix = weights("language_model.model.layers.0.mlp.up_proj.weight")
    assert isinstance(matrix, Matrix)
    assert matrix.nbytes == 384 * 128 + 384 * 4


def test_operators_on_blocks_of_rows_give_the_bits_of_operators_one_by_one(monkeypatch):
    monkeypatch.setattr(weight_only, "_CHAIN_ROWS", 7)
    graph, weights, inputs = decoder(40, 24)
    graph = assign_decoder(graph)
    chained = Executor(graph, weights, WeightOnly())
    inner = {"mlp.gate_proj", "mlp.silu", "attn.q_proj", "attn.residual", "input_layernorm"}
    assert all(chained._steps[name] is None for name in inner - {"input_layernorm"})
    alone = Executor(graph, weights, WeightOnly(), keep=inner | {"mlp.mul", "attn.o_proj"})
    found, expected = chained.run_all(inputs), alone.run_all(inputs)
    assert all(np.array_equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize(
    "kept", ["mlp.gate_proj", "mlp.silu", "mlp.mul", "attn.o_proj", "mlp.up_proj"]
)
def test_any_result_can_be_kept_alone(kept):
    graph, weights, inputs = decoder(16, 0)
    graph = assign_decoder(graph)
    attention = {"attn.scores", "attn.scale", "attn.mask", "attn.softmax"}  # other float32 sums
    every = {n for n, t in graph.tensors.items() if t.kind == "activation"} - attention
    one, all_ = (Executor(graph, weights, WeightOnly(), keep=k) for k in ({kept}, every))
    one.run_all(inputs), all_.run_all(inputs)
    assert np.array_equal(one.fetch(kept), all_.fetch(kept))
    assert np.array_equal(one.fetch("output"), all_.fetch("output"))
