"""The choice of the next token on the CPU."""

from __future__ import annotations

import numpy as np

from axsim.graph.array import Array
from axsim.models.config import DecoderConfig, Family
from axsim.workload import RequestSection

END_OF_SEQUENCE: dict[Family, int] = {
    "qwen2": 151645,  # <|im_end|>
    "qwen3": 151645,
    "llama": 2,
    "phi2": 50256,
}
"""The family's end-of-sequence token; a vocabulary that does not reach so far has none."""


def end_of_sequence(cfg: DecoderConfig) -> int | None:
    """The token that ends decoding, if the vocabulary has it."""
    token = END_OF_SEQUENCE[cfg.family]
    return token if token < cfg.vocab_size else None


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
