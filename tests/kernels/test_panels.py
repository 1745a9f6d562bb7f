"""Products in 512-bit tiles against float64 and int64, and when they are used at all."""

import subprocess
import sys

import numpy as np
import pytest

from axsim.kernels.compiled import compiled

panels = compiled("axsim.kernels.panels_numba")
needs_tiles = pytest.mark.skipif(
    panels is None or not panels.supported(), reason="no numba, or a CPU without 512-bit vectors"
)


@needs_tiles
@pytest.mark.parametrize("rows", [1, 2, 3, 11, 12, 13, 40])
@pytest.mark.parametrize("words", [1, 255, 256, 257, 1024])
def test_float_products(rows, words):
    rng = np.random.default_rng(rows)
    a = rng.standard_normal((rows, words)).astype(np.float32)
    b = rng.standard_normal((3, words, 32)).astype(np.float32)
    first = rng.standard_normal(rows).astype(np.float32)
    out = np.full((rows, 5 * 32), np.nan, np.float32)
    panels.multiply(a, first, b, 32, out, 64, 64)
    wide = np.hstack([a.astype(float) @ panel for panel in b[1:]]) + first[:, None]
    np.testing.assert_allclose(out[:, 64:128], wide, atol=2e-6 * words)
    assert np.isnan(out[:, :64]).all()
    assert np.isnan(out[:, 128:]).all()


@needs_tiles
@pytest.mark.parametrize("keys", [1, 31, 32, 33, 1024, 1025])
@pytest.mark.parametrize("tokens", [1, 47, 48, 49])
def test_attention_of_heads_that_are_views(tokens, keys):
    rng = np.random.default_rng(keys)
    q = rng.standard_normal((tokens, 3, 64)).astype(np.float32)[:, 1]
    k = rng.standard_normal((keys, 2, 64)).astype(np.float32)[:, 0].T
    v = rng.standard_normal((keys, 2, 64)).astype(np.float32)[:, 1]
    out = np.empty((tokens, 64), np.float32)
    assert panels.attends(q, k, v)
    panels.attend(q, k, v, out)
    scores = q.astype(float) @ k
    e = np.exp(scores - scores.max(axis=1, keepdims=True))
    np.testing.assert_allclose(out, e / e.sum(axis=1, keepdims=True) @ v, atol=1e-5)


@pytest.mark.parametrize(
    ("variable", "value"), [("NUMBA_DISABLE_JIT", "1"), ("NUMBA_CPU_NAME", "generic")]
)
def test_numba_for_no_cpu_or_another_one_leaves_bytes_to_the_next_backend(variable, value):
    pytest.importorskip("numba")
    code = "from axsim.kernels.integer import best_backend; print(best_backend().name)"
    run = subprocess.run(
        [sys.executable, "-c", code],
        env={"PATH": "", variable: value},
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.strip() in ("onnxruntime", "numpy")
