import numpy as np
import pytest

from axsim.kernels.qparams import asymmetric
from axsim.numerics.observers import KL, MSE, OBSERVERS, Histogram, MinMax, Percentile


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


def test_kl_cuts_a_far_outlier():
    x = gaussian()
    x[7] = 300
    observer = KL()
    observer.update(x)
    assert observer.range("u8")[1] < 30


def test_histogram_keeps_its_counts_when_the_range_grows():
    h = Histogram(64)
    for limit in (1e-3, 1, 100, 5):
        h.update(np.linspace(-limit, limit, 501, dtype=np.float32))
    assert h.counts.sum() == 4 * 501
    assert len(h.counts) <= 64
    assert h.edges[0] <= -100
    assert h.edges[-1] > 100
