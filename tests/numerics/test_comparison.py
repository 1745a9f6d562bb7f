import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axsim.numerics import comparison as precision
from axsim.numerics.executor import Executor
from axsim.numerics.float32 import Float32
from axsim.numerics.formats import assign_decoder, assign_vision
from axsim.numerics.integer_graph import Integer
from axsim.numerics.mixed import propose
from axsim.numerics.ranges import Calibration
from axsim.numerics.smooth import ChannelMaxima, SmoothedWeights, smoothing_pairs
from axsim.numerics.weight_only import WeightOnly
from tests.numerics.models import decoder, vision


def test_metrics_of_known_errors():
    x = np.array([3, 4, 0], np.float32)
    y = np.array([3, 4, 0.5], np.float32)
    assert precision.cosine(x, y) == pytest.approx(5 / np.sqrt(25.25))
    assert precision.errors(x, y) == pytest.approx((5 / np.sqrt(25.25), 20, 0.5))
    assert precision.errors(x, x) == (1, np.inf, 0)
    assert precision.errors(np.zeros(3), x) == (0, -np.inf, 4)
    assert precision.errors(np.zeros(0), np.zeros(0)) == (1, np.inf, 0)
    assert precision.cosine(np.zeros(3), np.zeros(3)) == 1
    assert precision.cosine(x, np.zeros(3)) == 0
    assert precision.cosine(np.array([1.0, 0]), np.array([1.0, 1])) == pytest.approx(0.5**0.5)


def calibrated(dtype, overrides=None, weights=None):
    graph, plain, image = vision()
    weights = weights or plain
    calibration = Calibration()
    Executor(graph, weights, calibration).run_all({"input": image})
    graph = assign_vision(graph, dtype, overrides)
    return graph, weights, Integer(calibration.qparams(graph)), {"input": image}


def test_errors_of_many_blocks_are_those_of_the_whole():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((7, 30_001)).astype(np.float32)
    y = x + rng.standard_normal(x.shape).astype(np.float32) / 100
    found, wide = precision.errors(x, y), (x.astype(np.float64), y.astype(np.float64))
    noise = ((wide[0] - wide[1]) ** 2).sum()
    cosine = (wide[0] * wide[1]).sum() / np.sqrt((wide[0] ** 2).sum() * (wide[1] ** 2).sum())
    ratio = 10 * np.log10((wide[0] ** 2).sum() / noise)
    assert found == pytest.approx((cosine, ratio, np.abs(wide[0] - wide[1]).max()), rel=1e-12)


def test_float32_has_no_error_against_itself():
    graph, weights, image = vision()
    rows = precision.compare(graph, weights, Float32(), {"input": image})
    assert all(row.sqnr_db == np.inf for row in rows)
    assert {"Gemm", "Softmax", "LayerNormalization", "Gelu"} <= {row.op for row in rows}


def test_errors_build_up_end_to_end_but_not_per_layer():
    end = {r.node: r for r in precision.compare(*calibrated("u8"))}
    own = {r.node: r for r in precision.compare(*calibrated("u8"), mode="PerLayer")}
    assert end.keys() == own.keys()
    assert end["mlp1.3"].sqnr_db < own["mlp1.3"].sqnr_db
    assert own["mlp1.3"].cosine > 0.999
    better = {r.node: r for r in precision.compare(*calibrated("u16"), mode="PerLayer")}
    assert all(better[n].sqnr_db >= own[n].sqnr_db for n in own if own[n].op == "Gemm")


def test_end_to_end_comparison_is_the_real_run():
    graph, weights, arithmetic, inputs = calibrated("u8")
    last = precision.compare(graph, weights, arithmetic, inputs)[-1]
    output = Executor(graph, weights, arithmetic).run_all(inputs)["output"]
    plain, _, _ = vision()
    reference = Executor(plain, weights).run_all(inputs)["output"]
    assert last.tensor == "mlp1.3"
    assert last.cosine == pytest.approx(precision.cosine(reference, output), abs=1e-9)


def test_decoders_are_compared_alike():
    graph, weights, inputs = decoder(8, 8)
    rows = precision.compare(assign_decoder(graph), weights, WeightOnly(), inputs)
    by_node = {r.node: r for r in rows}
    assert {"attn.scores", "attn.softmax", "mlp.down_proj"} <= by_node.keys()
    assert precision.worst_first(rows)[0].sqnr_db == min(r.sqnr_db for r in rows)
    assert by_node["mlp.residual"].cosine > 0.999


def test_proposal_takes_the_best_groups_per_millisecond_until_the_target_is_met():
    noise = {"a": 0.04, "b": 0.02, "c": 0.01, "d": 0.001}
    price = {"a": 4.0, "b": 0.5, "c": 2.0, "d": 3.0}

    def similarity(overrides):
        return 1 - sum(v for k, v in noise.items() if k not in overrides)

    def cost(overrides):
        return 10 + sum(price[k] for k in overrides)

    losses = {(name,): value / 2 for name, value in noise.items()}  # only proportions matter
    found = propose(losses, similarity, cost, 0.998)
    assert found.met
    assert found.patterns == ("b", "a", "c")  # 0.04, 0.01 and 0.005 per millisecond
    assert found.cost_ms == pytest.approx(6.5)
    assert found.overrides == {"a": "u16", "b": "u16", "c": "u16"}
    assert propose(losses, similarity, cost, 0.5).patterns == ()
    missed = propose({("d",): 1.0}, similarity, cost, 0.999)
    assert not missed.met
    assert missed.patterns == ("d",)


@given(
    st.lists(st.tuples(st.floats(1e-6, 1), st.floats(0.01, 5)), min_size=1, max_size=90),
    st.floats(0.05, 1.0),
    st.randoms(use_true_random=False),
    st.booleans(),
)
def test_a_proposal_was_run_and_nothing_in_it_can_be_spared(groups, share, random, exact):
    """Noises that add up, whether or not the estimates of them are right."""
    noise = {f"g{i}": value for i, (value, _) in enumerate(groups)}
    price = {f"g{i}": value for i, (_, value) in enumerate(groups)}
    scale = 0.5 / sum(noise.values())
    runs = {}

    def similarity(overrides):
        runs[frozenset(overrides)] = found = 1 - scale * sum(
            value for name, value in noise.items() if name not in overrides
        )
        return found

    losses = {(n,): v * (1 if exact else random.uniform(0.3, 3)) for n, v in noise.items()}
    target = 0.5 + 0.49 * share
    found = propose(losses, similarity, lambda o: 1 + sum(price[n] for n in o), target)
    assert found.met
    assert found.similarity == runs[frozenset(found.patterns)] >= target
    assert found.cost_ms == pytest.approx(sum(price[n] for n in found.patterns))
    if exact:
        assert len(runs) <= 10
        rest = [similarity(set(found.patterns) - {name}) for name in found.patterns]
        assert all(each < target for each in rest)


def test_smoothing_leaves_the_function_and_helps_outliers():
    graph, weights, image = vision()
    maxima = ChannelMaxima()
    expected = Executor(graph, weights, maxima).run_all({"input": image})["output"]
    smoothed = SmoothedWeights(graph, weights, maxima.maxima)
    found = Executor(graph, smoothed).run_all({"input": image})["output"]
    assert np.allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())

    pair = smoothing_pairs(graph)[0]
    assert pair.affine[0].endswith("norm1.weight")
    assert pair.projections[0].endswith("attn.qkv.weight")

    def outliers(name):
        """A norm scale of 40 on one channel, as trained towers have."""
        value = np.array(weights(name))
        if name.endswith(("norm1.weight", "norm2.weight")):
            value[5] = 40
        return value

    maxima = ChannelMaxima()
    Executor(graph, outliers, maxima).run_all({"input": image})
    errors = []
    for used in (outliers, SmoothedWeights(graph, outliers, maxima.maxima)):
        rows = precision.compare(*calibrated("u8", weights=used), mode="PerLayer")
        errors.append({r.node: r.sqnr_db for r in rows}["layers.0.attn.qkv"])
    assert errors[1] > errors[0] + 3
    with pytest.raises(ValueError, match="between 0 and 1"):
        SmoothedWeights(graph, weights, {}, 1.5)
