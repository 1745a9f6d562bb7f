"""Perplexity, divergence and agreement against what theory says."""

from __future__ import annotations

from math import exp, inf, log

import numpy as np
import pytest

from axsim.numerics.likelihood import Likelihood, TextScore


def score(reference, found, targets) -> TextScore:
    likelihood = Likelihood()
    likelihood.add(np.array(reference, np.float32), np.array(found, np.float32), np.array(targets))
    return likelihood.score()


def test_one_that_knows_nothing_is_as_perplexed_as_the_vocabulary_is_large() -> None:
    flat = np.zeros((5, 37))
    found = score(flat, flat + 3, [0, 36, 5, 5, 1])
    assert found.perplexity == found.float32_perplexity == pytest.approx(37, rel=1e-12)
    assert found.kl_divergence == pytest.approx(0, abs=1e-12)
    assert (found.tokens, found.top1_agreement) == (5, 1)


def test_two_coins() -> None:
    """p = (0.8, 0.2) and q = (0.4, 0.6): both formulas by hand."""
    p, q = np.log([[0.8, 0.2]] * 2), np.log([[0.4, 0.6]] * 2) + 7
    found = score(p, q, [0, 1])
    assert found.float32_perplexity == pytest.approx(1 / np.sqrt(0.8 * 0.2), rel=1e-6)
    assert found.perplexity == pytest.approx(1 / np.sqrt(0.4 * 0.6), rel=1e-6)
    assert found.kl_divergence == pytest.approx(0.8 * log(2) + 0.2 * log(1 / 3), rel=1e-6)
    assert found.top1_agreement == 0


def test_blocks_add_up() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 40, 11)).astype(np.float32)
    targets = rng.integers(0, 11, 40)
    parts = Likelihood()
    for rows in (slice(0, 7), slice(7, 40)):
        parts.add(a[rows], b[rows], targets[rows])
    whole, found = score(a, b, targets), parts.score()
    assert found.to_dict() == pytest.approx(whole.to_dict(), rel=1e-12)
    assert 0 < whole.top1_agreement < 1


def test_a_hopeless_one_is_infinite_and_json_has_none() -> None:
    logits = np.array([[0, 2000.0]])
    found = score([[0, 1.0]], logits, [0])
    assert found.perplexity == inf
    assert found.to_dict()["perplexity"] is None
    assert found.float32_perplexity == pytest.approx(1 + exp(1))
    with pytest.raises(ValueError, match="no token"):
        Likelihood().score()
