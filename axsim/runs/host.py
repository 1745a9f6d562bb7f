"""The host's numbers of one request: what it feeds to each invocation and takes from it.

Prompt rows are embedded, image rows take their place, prefill sends each chunk through a layer with
the rows so far as history, K and V rows go into the caches, and each decode step attends to all of
them (ax-llm, LLM.hpp). The order is :func:`axsim.system.request.walk`'s, on whose calls this rides.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from axsim.compiler.partition import Deployment, Subgraph
from axsim.kernels.array import Array
from axsim.models.prompt import Prompt
from axsim.models.window import windowed
from axsim.system.request import Call, Pass

MASKED = np.float32(-65536)
"""Added to scores that must not count; finite, so that rows without any key stay finite too."""


class Decoder(Protocol):
    """Computes the decoder's subgraphs: in the deployed arithmetic, or in float32."""

    def layer(self, subgraph: Subgraph, layer: int, inputs: dict[str, Array]) -> dict[str, Array]:
        """One decoder layer on one group's inputs; its K_cache_out, V_cache_out and output."""

    def post(self, subgraph: Subgraph, hidden: Array) -> Array:
        """Logits [vocab] of one hidden state [1, 1, hidden]."""

    def embed(self, tokens: list[int]) -> Array:
        """Rows [tokens, hidden] of the embedding table."""


class HostLoop:
    """One request's numbers on one device; :meth:`compute` takes the walk's calls.

    ``see(index)`` computes an image; ``prompt()``, which is asked once, gives the whole
    prompt, rows of images included; ``choose(logits)`` a token.
    ``position`` counts the tokens whose K and V are in the caches, ``tokens`` are the chosen ones
    and ``first_logits`` [vocab] what the first of them was chosen from.
    """

    first_logits: Array

    def __init__(
        self,
        deployment: Deployment,
        device: Decoder,
        prompt: Callable[[], Prompt],
        choose: Callable[[Array], int],
        see: Callable[[int], object] = lambda index: None,
    ) -> None:
        decoder = deployment.model.decoder
        assert decoder is not None
        self._deployment = deployment
        self._config = decoder
        self._device = device
        self._prompt, self._choose, self._see = prompt, choose, see
        self._capacity = deployment.workload.build.kv_cache_len
        # Zero-filled: masked columns are added, not skipped, and 0 · NaN would poison the rest.
        shape = (decoder.num_hidden_layers, 1, self._capacity, decoder.kv_dim)
        self._k, self._v = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._hidden: list[Array] = []  # of each chunk [1, chunk, hidden], or of a token
        self._mask = np.zeros((1, 1, 0), np.float32)  # of a decode step
        self.position = 0
        self.tokens: list[int] = []

    def compute(self, work: Pass, call: Call, layer: int) -> int | None:
        """The kernels of one call; the chosen token when that is post.

        Raises ValueError when the prompt needs more chunks than are deployed or the cache is full.
        """
        if work.stage == "vision":
            self._see(work.index)
        elif work.stage == "prefill":
            if not layer and not call.chunk:
                self._begin(self._prompt())
            self._prefill(call, layer)
        elif work.stage == "decode":
            if not layer:
                self._begin_token(self.tokens[-1])
            self._hidden[0] = self._layer(
                call.subgraph, layer, self._hidden[0], self._capacity, self.position, 1, self._mask
            )
        else:
            return self._post(call.subgraph)
        return None

    @property
    def hidden(self) -> Array:
        """What the last layer gave for each token of the prompt [tokens, hidden], until decoding
        begins."""
        rows: Array = np.concatenate(self._hidden, axis=1)[0, : self._length]
        return rows

    def _begin(self, prompt: Prompt) -> None:
        """The whole prompt, padded to whole chunks."""
        self._asked, rows = prompt, prompt.rows
        chunks, size = len(self._deployment.prefill), self._deployment.workload.build.prefill_chunk
        if len(rows) > chunks * size:
            raise ValueError(f"{len(rows)} tokens do not fit {chunks} chunks of {size}")
        for start in range(0, chunks * size, size):
            padded = np.zeros((1, size, rows.shape[1]), np.float32)
            real = rows[start : start + size]
            padded[0, : len(real)] = real
            self._hidden.append(padded)
        self._length = len(rows)

    def _prefill(self, call: Call, layer: int) -> None:
        size = self._deployment.workload.build.prefill_chunk
        start = call.chunk * size
        real = max(0, min(size, self._length - start))
        hidden = self._layer(
            call.subgraph,
            layer,
            self._hidden[call.chunk],
            start,
            start,
            real,
            self._asked.opened(prefill_mask(size, start, real), start, real),
        )
        if layer < len(self._asked.deep):
            hidden[0, :real] += self._asked.deep[layer][start : start + real]
        self._hidden[call.chunk] = hidden

    def _begin_token(self, token: int) -> None:
        """The embedded token, and a mask over all that is cached and itself."""
        if self.position >= self._capacity:
            raise ValueError(f"the KV cache holds {self._capacity} tokens")
        self._mask = np.full((1, 1, self._capacity + 1), MASKED)
        self._mask[..., : self.position] = self._mask[..., -1] = 0
        self._hidden = [self._device.embed([token])[None]]

    def _post(self, subgraph: Subgraph) -> int:
        """Logits of the last real row, and the token that they lead to."""
        first = not self.tokens
        chunk, row = 0, 0
        if first:
            chunk, row = divmod(self._length - 1, self._hidden[0].shape[1])
        self.position = self._length if first else self.position + 1
        logits = self._device.post(subgraph, self._hidden[chunk][:, row : row + 1])
        if first:
            self.first_logits = logits
        self.tokens.append(self._choose(logits))
        return self.tokens[-1]

    def _layer(
        self,
        subgraph: Subgraph,
        layer: int,
        rows: Array,
        cached: int,
        start: int,
        real: int,
        mask: Array,
    ) -> Array:
        """One layer on ``rows`` [1, new, hidden], which are the tokens from ``start`` on; the first
        ``real`` of them go into the caches, of which the layer sees ``cached`` rows."""
        new, hidden_size = rows.shape[1:]
        k, v = self._k[layer], self._v[layer]
        dummy = np.zeros((1, 1, hidden_size), np.float32)
        out = self._device.layer(
            subgraph,
            layer,
            {
                "K_cache": k[:, :cached] if cached else dummy,
                "V_cache": v[:, :cached] if cached else dummy,
                "indices": self._asked.indices(start, new),
                "input": rows,
                "mask": windowed(mask, self._config, layer, start),
            },
        )
        k[0, start : start + real] = out["K_cache_out"][0, :real]
        v[0, start : start + real] = out["V_cache_out"][0, :real]
        return out["output"]


def prefill_mask(chunk: int, history: int, real: int) -> Array:
    """[1, chunk, history + chunk]: 0 where a row may look, MASKED elsewhere; rows from ``real`` on
    are padding and see nothing."""
    mask = np.full((1, chunk, history + chunk), MASKED)
    allowed = np.arange(history + chunk) <= np.arange(chunk)[:, None] + history
    allowed[real:] = False
    mask[0, allowed] = 0
    return mask
