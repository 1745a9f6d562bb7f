from math import log

import numpy as np
import pytest

from axsim.kernels.qparams import asymmetric
from axsim.numerics.observers import (
    KL,
    MSE,
    OBSERVERS,
    Histogram,
    MinMax,
    Percentile,
    saturated_divergence,
)


def gaussian(n=40_000, seed=0):
    return np.random.default_rng(seed).standard_normal(n).astype(np.float32)


@pytest.mark.parametrize("make", OBSERVERS.values(), ids=OBSERVERS)
def test_every_observer_covers_most_of_a_gaussian(make):
    observer = make()
    x = gaussian()
    observer.update(x[:20_000])
    observer.update(x[20_000:])
    low, high = observer.range("u8")
    assert x.min() <= low < -2
    assert 2 < high <= x.max()


@pytest.mark.parametrize("make", OBSERVERS.values(), ids=OBSERVERS)
def test_a_range_needs_values(make):
    with pytest.raises(ValueError, match="before"):
        make().range("u8")


def test_min_max_covers_everything_seen():
    observer = MinMax()
    for x in ([1.0, 2.0], [-3.0, 0.5]):
        observer.update(np.array(x, np.float32))
    assert observer.range("u8") == (-3, 2)


def test_percentile_averages_over_updates_and_drops_outliers():
    observer = Percentile(0.99)
    for top in (1e6, 2e6):
        x = np.linspace(0, 1, 1001, dtype=np.float32)
        x[-1] = top
        observer.update(x)
    low, high = observer.range("u8")
    assert (low, high) == pytest.approx((0.01, 0.99), abs=1e-3)
    with pytest.raises(ValueError, match="fraction"):
        Percentile(0.3)


def error(x, low, high):
    q = asymmetric(low, high)
    return float(np.mean((q.dequantise(q.quantise(x)) - x) ** 2))


def test_mse_beats_min_max_where_one_outlier_stretches_the_range():
    x = gaussian(1_000_000)
    x[7] = 12
    observer = MSE()
    observer.update(x)
    assert error(x, *observer.range("u8")) < 0.7 * error(x, float(x.min()), float(x.max()))


def test_kl_cuts_what_only_stretches_the_range():
    x = gaussian(1_000_000)
    x[7] = 12
    observer = KL()
    observer.update(x)
    low, high = observer.range("u8")
    assert high < 8
    assert error(x, low, high) < error(x, float(x.min()), 12)


def gelu(x):
    return 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))


def channels(share, factor):
    """Rows of 512 channels, of which a few are so much larger, as in a transformer's residual
    stream."""
    scale = np.ones(512)
    scale[: round(512 * share)] = factor
    return np.random.default_rng(1).standard_normal((256, 512)) * scale


def attention(scale):
    weights = np.exp(channels(0, 1) * scale)
    return weights / weights.sum(1, keepdims=True)


HEAVY = {
    "behind GELU": gelu(1.5 * channels(0, 1) - 2),
    "behind GELU with outlier channels": gelu(channels(0.01, 10) - 1),
    "outlier channels": channels(0.01, 20),
    "few outlier channels": channels(0.002, 60),
    "probabilities": attention(2),
}


def cosine(x, low, high):
    q = asymmetric(low, high)
    y = q.dequantise(q.quantise(x)).astype(np.float64)
    return float((x * y).sum() / np.sqrt((x * x).sum() * (y * y).sum()))


@pytest.mark.parametrize("x", HEAVY.values(), ids=HEAVY)
@pytest.mark.parametrize("make", [MSE, KL])
def test_no_observer_gives_up_outliers_that_carry_the_signal(make, x):
    x = x.astype(np.float32)
    observer, widest = make(), MinMax()
    for each in (observer, widest):
        each.update(x)
    assert cosine(x, *observer.range("u8")) > cosine(x, *widest.range("u8")) - 1e-3


def entropy_ends(x):
    """onnxruntime's calibrator on a histogram of its kind, 255 levels over both signs."""
    calibrate = pytest.importorskip("onnxruntime.quantization.calibrate")
    most = float(np.abs(x).max())
    counts, edges = np.histogram(x, 769, range=(-most, most))
    collector = calibrate.HistogramCollector("entropy", True, 769, 255, 99.99, "same")
    ends = collector.get_entropy_threshold((counts, edges, x.min(), x.max(), most), 255)
    return float(ends[0]), float(ends[1])


def test_the_divergence_is_that_of_levels_from_the_folded_histogram():
    """Eight bins inside, two levels, five values beyond: written out."""
    counts = np.array([1, 2, 3, 4, 0, 0, 2, 2, 5])
    centres = np.arange(9) + 0.5
    folded, levels = [1, 2, 3, 4, 2, 7], [2.5, 2.5, 2.5, 2.5, 2, 2]  # of 19 and of 14
    terms = [p / 19 * log((p / 19) / (q / 14)) for p, q in zip(folded, levels, strict=True)]
    found = saturated_divergence(centres, counts, 0.0, 8.0, 2)
    assert found == pytest.approx(sum(terms), rel=1e-12)
    assert saturated_divergence(centres, counts, 0.0, 8.0, 9) == np.inf


def test_kl_is_onnxruntimes_where_no_outlier_carries_the_signal():
    x = np.random.default_rng(2).laplace(size=60_000).astype(np.float32)
    observer = KL()
    observer.update(x)
    low, high = observer.range("u8")
    theirs = entropy_ends(x)
    assert high == pytest.approx(theirs[1], rel=0.05)
    assert low == pytest.approx(theirs[0], rel=0.05)


@pytest.mark.parametrize("name", ["behind GELU with outlier channels", "few outlier channels"])
def test_entropy_alone_gives_up_outlier_channels(name):
    """Why KL counts squared errors, too."""
    x = HEAVY[name].astype(np.float32)
    observer = KL()
    observer.update(x)
    assert cosine(x, *entropy_ends(x)) < 0.96
    assert cosine(x, *observer.range("u8")) > 0.99


def test_kl_covers_everything_where_codes_are_finer_than_its_bins():
    x = np.abs(channels(0.01, 20)).astype(np.float32)
    observer = KL()
    observer.update(x)
    assert observer.range("u16") == (0.0, float(x.max()))


def test_histogram_keeps_its_counts_when_the_range_grows():
    h = Histogram(64)
    for limit in (1e-3, 1, 100, 5):
        h.update(np.linspace(-limit, limit, 501, dtype=np.float32))
    assert h.counts.sum() == 4 * 501
    assert len(h.counts) <= 64
    assert h.edges[0] <= -100
    assert h.edges[-1] > 100
