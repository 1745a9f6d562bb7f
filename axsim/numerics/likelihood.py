"""How well a language model predicts a text, and how far its deployed arithmetic leads it astray.

Perplexity is ``exp`` of the mean negative log-likelihood of each token, given those before it; the
Kullback-Leibler divergence is that of the deployed distribution from float32's, nats a token.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import exp, inf, isfinite
from typing import Any

import numpy as np

from axsim.kernels.array import Array

MOST_NATS = 700.0
"""``exp`` of more is no float64: such a perplexity is infinite."""


@dataclass(frozen=True)
class TextScore:
    """A build and float32 on the same text, over ``tokens`` predicted tokens.

    ``kl_divergence`` is sum p log(p / q) of float32's distribution p and the build's q, averaged,
    nats; ``top1_agreement`` the share of tokens for which both have the same likeliest one.
    """

    tokens: int
    float32_perplexity: float
    perplexity: float
    kl_divergence: float
    top1_agreement: float

    def to_dict(self) -> dict[str, Any]:
        """For JSON, which has no infinity: None for what is no finite number."""
        return {k: v if isfinite(v) else None for k, v in asdict(self).items()}


class Likelihood:
    """Sums over the tokens of a text; :meth:`add` some, then ask :meth:`score`."""

    def __init__(self) -> None:
        self._tokens = self._same = 0
        self._reference = self._found = self._divergence = 0.0

    def add(self, reference: Array, found: Array, targets: Array) -> None:
        """Logits [rows, vocab] of float32 and of the build, and the tokens [rows] that followed."""
        rows = np.arange(len(targets))
        p, q = _log_softmax(reference), _log_softmax(found)
        self._tokens += len(targets)
        self._same += int((reference.argmax(1) == found.argmax(1)).sum())
        self._reference -= float(p[rows, targets].sum())
        self._found -= float(q[rows, targets].sum())
        q -= p
        np.exp(p, out=p)
        p *= q
        self._divergence -= float(p.sum())

    def score(self) -> TextScore:
        """Of all that was added; ValueError when that is nothing."""
        count = self._tokens
        if not count:
            raise ValueError("no token was predicted")
        return TextScore(
            count,
            _perplexity(self._reference / count),
            _perplexity(self._found / count),
            max(self._divergence / count, 0.0),
            self._same / count,
        )


def _perplexity(nats: float) -> float:
    return exp(nats) if nats < MOST_NATS else inf


def _log_softmax(logits: Array) -> Array:
    """float64 log-probabilities of each row."""
    x: Array = logits.astype(np.float64)
    x -= x.max(1, keepdims=True)
    x -= np.log(np.exp(x).sum(1, keepdims=True))
    return x
