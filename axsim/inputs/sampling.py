"""The choice of the next token on the CPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from axsim.kernels.array import Array
from axsim.models.config import DecoderConfig
from axsim.models.families import FAMILIES
from axsim.spec.workload import RequestSection, Workload


def end_of_sequence(workload: Workload, held: Sequence[int] | None = None) -> tuple[int, ...]:
    """The tokens that end decoding: those of the request, else those that a checkpoint ``held``,
    else the family's; only those that the vocabulary has."""
    cfg = workload.model.config().decoder
    if cfg is None:
        return ()
    chosen = workload.request.eos_token_id
    if chosen is None:
        chosen = family_end(cfg) if held is None else tuple(held)
    return tuple(token for token in chosen if token < cfg.vocab_size)


def family_end(cfg: DecoderConfig) -> tuple[int, ...]:
    """The end-of-sequence token of the family, if the vocabulary has it."""
    token = FAMILIES[cfg.family].end_of_sequence
    return (token,) if token < cfg.vocab_size else ()


class Sampler:
    """Greedy at temperature 0: the first of the largest logits, as the vendor's runtime takes it.

    Otherwise one draw per token among the ``top_k`` likeliest, and of these among the likeliest
    that reach a probability of ``top_p`` together, from a stream of the request's seed.
    """

    def __init__(self, request: RequestSection) -> None:
        self._request = request
        self._random = np.random.SFC64(np.random.SeedSequence([request.seed, 0x5A3F]))

    def __call__(self, logits: Array) -> int:
        """The token chosen from logits of any shape with ``vocab_size`` elements."""
        logits = logits.reshape(-1)
        request = self._request
        if not request.temperature:
            return int(np.argmax(logits))
        # Stable order: among equal logits the lower id is the likelier.
        count = request.top_k or logits.size
        order = np.argsort(-logits, kind="stable")[:count]
        scaled = logits[order].astype(np.float64) / request.temperature
        likely = np.exp(scaled - scaled[0])
        likely /= likely.sum()
        reached = np.cumsum(likely)
        if request.top_p is not None:
            kept = int(np.searchsorted(reached, request.top_p)) + 1
            reached = reached[:kept]
        draw = float(self._random.random_raw() >> 11) * 2.0**-53 * float(reached[-1])
        chosen = int(np.searchsorted(reached, draw, side="right"))
        return int(order[min(chosen, reached.size - 1)])
