"""Products in tiles of vectors against float64 and int64, and when they are used at all."""

import subprocess
import sys

import numpy as np
import pytest

from axsim.kernels.twin import compiled

panels, heads, tiles = (
    compiled(f"axsim.kernels.vectors.{n}") for n in ("multiply", "heads", "tiles")
)
needs_tiles = pytest.mark.skipif(
    tiles is None or not tiles.supported(), reason="no numba, or a CPU without such vectors"
)


@needs_tiles
@pytest.mark.parametrize("rows", [1, 2, 3, 11, 12, 13, 40])
@pytest.mark.parametrize("words", [1, 255, 256, 257, 1024])
def test_float_products(rows, words):
    rng, width = np.random.default_rng(rows), tiles.WIDTH
    a = rng.standard_normal((rows, words)).astype(np.float32)
    b = rng.standard_normal((3, words, width)).astype(np.float32)
    first = rng.standard_normal(rows).astype(np.float32)
    out = np.full((rows, 5 * width), np.nan, np.float32)
    panels.multiply(a, first, b, width, out, 2 * width, 2 * width)
    wide = np.hstack([a.astype(float) @ panel for panel in b[1:]]) + first[:, None]
    np.testing.assert_allclose(out[:, 2 * width : 4 * width], wide, atol=2e-6 * words)
    assert np.isnan(out[:, : 2 * width]).all()
    assert np.isnan(out[:, 4 * width :]).all()


@needs_tiles
@pytest.mark.parametrize("shape", [(32, 8), (33, 8), (5, 7), (64, 1)])
@pytest.mark.parametrize("dtype", [np.float32, np.int8])
@pytest.mark.parametrize("order", "CF")
def test_panels_hold_columns_by_words_and_zeros(shape, dtype, order):
    right = np.random.default_rng(0).integers(-128, 128, shape).astype(dtype, order=order)
    numbers = 4 // right.itemsize
    found = panels.panels_of(right)
    assert found.ctypes.data % 64 == 0
    rows = np.ascontiguousarray(found.swapaxes(1, 2)).reshape(-1, found.shape[1]).view(dtype)
    assert np.array_equal(rows[: shape[0], : shape[1]], right)
    assert found.shape[1:] == (-(-shape[1] // numbers), tiles.WIDTH)
    assert not rows[shape[0] :].any()
    assert not rows[:, shape[1] :].any()


@needs_tiles
@pytest.mark.parametrize("keys", [1, 31, 32, 33, 1024, 1025])
@pytest.mark.parametrize("tokens", [1, 47, 48, 49])
def test_attention_of_heads_that_are_views(tokens, keys):
    rng = np.random.default_rng(keys)
    q = rng.standard_normal((tokens, 3, 64)).astype(np.float32)[:, 1]
    k = rng.standard_normal((keys, 2, 64)).astype(np.float32)[:, 0].T
    v = rng.standard_normal((keys, 2, 64)).astype(np.float32)[:, 1]
    out = np.empty((tokens, 64), np.float32)
    assert heads.attends(q, k, v)
    heads.attend(q, k, v, None, out)
    scores = q.astype(float) @ k
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    np.testing.assert_allclose(out, e / e.sum(axis=1, keepdims=True) @ v, atol=1e-5)


@pytest.mark.parametrize(
    ("variable", "value"), [("NUMBA_DISABLE_JIT", "1"), ("NUMBA_CPU_NAME", "generic")]
)
def test_numba_for_no_cpu_or_another_one_leaves_bytes_to_the_next_backend(variable, value):
    pytest.importorskip("numba")
    code = "from axsim.kernels.choose import choose; print(choose().name)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "", variable: value},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() in ("onnxruntime", "numpy")
