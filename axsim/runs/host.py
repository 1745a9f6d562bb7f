"""The host loop: what the vendor's runtime does around the subgraphs of one request.

Prompt rows are embedded, image rows take their place, prefill takes each layer through all chunks,
with the rows so far as history (layers outermost, as in the vendor's C++ runtime; the numbers do
not depend on the order), K and V rows go into the caches, and decode steps follow until the
end-of-sequence token or the budget (ax-llm, LLM.hpp).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Protocol

import numpy as np

from axsim.compiler.partition import Deployment, Subgraph
from axsim.kernels.array import Array
from axsim.models.window import windowed

MASKED = np.float32(-65536)
"""Added to scores that must not count; finite, so that rows without any key stay finite too."""


class Device(Protocol):
    """Runs the decoder's subgraphs: the simulated NPU, or the float32 reference."""

    def layer(
        self, subgraph: Subgraph, layer: int, inputs: Mapping[str, Array]
    ) -> Mapping[str, Array]:
        """One decoder layer on one group's inputs; its K_cache_out, V_cache_out and output."""

    def post(self, subgraph: Subgraph, hidden: Array) -> Array:
        """Logits [vocab] of one hidden state [1, 1, hidden]."""

    def embed(self, tokens: list[int]) -> Array:
        """Rows [tokens, hidden] of the embedding table."""


class HostLoop:
    """One request on one device. ``position`` counts the tokens whose K and V are in the caches."""

    def __init__(self, deployment: Deployment, device: Device) -> None:
        decoder = deployment.model.decoder
        assert decoder is not None
        self._deployment = deployment
        self._device = device
        self._decoder = decoder
        self._layers = decoder.num_hidden_layers
        self._capacity = deployment.workload.build.kv_cache_len
        # Zero-filled: masked columns are added, not skipped, and 0 · NaN would poison the rest.
        shape = (self._layers, 1, self._capacity, decoder.kv_dim)
        self._k, self._v = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        self._last = np.zeros((1, 0, decoder.hidden_size), np.float32)
        self.position = 0

    def prefill(self, rows: Array) -> Array:
        """The whole prompt [tokens, hidden], padded to whole chunks; the logits after its last
        token, [vocab].

        Raises ValueError when it needs more chunks than are deployed.
        """
        for _ in self.prefill_by_layer(rows):
            pass
        return self.first_logits()

    def prefill_by_layer(self, rows: Array) -> Iterator[int]:
        """:meth:`prefill` without post, one layer at a time: yields the layer that all chunks have
        gone through."""
        groups = self._deployment.prefill
        chunk = self._deployment.workload.build.prefill_chunk
        if len(rows) > len(groups) * chunk:
            raise ValueError(f"{len(rows)} tokens do not fit {len(groups)} chunks of {chunk}")
        starts = range(0, len(rows), chunk)
        hidden = []
        for start in starts:
            padded = np.zeros((1, chunk, rows.shape[1]), np.float32)
            real = rows[start : start + chunk]
            padded[0, : len(real)] = real
            hidden.append(padded)
        for layer in range(self._layers):
            for index, start in enumerate(starts):
                real_rows = min(chunk, len(rows) - start)
                mask = prefill_mask(chunk, start, real_rows)
                hidden[index] = self._layer(
                    groups[index], layer, hidden[index], start, start, real_rows, mask
                )
            yield layer
        last = len(rows) - starts[-1]
        self._last = hidden[-1][:, last - 1 : last]
        self.position = len(rows)

    def first_logits(self) -> Array:
        """Logits [vocab] of the prompt's last row, once it is through all layers."""
        return self._device.post(self._deployment.post, self._last)

    def decode(self, token: int) -> Array:
        """One token through all layers against the whole compiled cache; the next logits [vocab].

        Raises ValueError when the cache is full.
        """
        if self.position >= self._capacity:
            raise ValueError(f"the KV cache holds {self._capacity} tokens")
        mask = np.full((1, 1, self._capacity + 1), MASKED)
        mask[..., : self.position] = mask[..., -1] = 0
        hidden = self._device.embed([token])[None]
        for layer in range(self._layers):
            hidden = self._layer(
                self._deployment.decode, layer, hidden, self._capacity, self.position, 1, mask
            )
        self.position += 1
        return self._device.post(self._deployment.post, hidden)

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
                "indices": np.arange(start, start + new, dtype=np.uint32)[None],
                "input": rows,
                "mask": windowed(mask, self._decoder, layer, start),
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


def generate(
    loop: HostLoop,
    first: Array,
    budget: int,
    sample: Callable[[Array], int],
    ends: Collection[int],
) -> Iterator[int]:
    """Tokens from the logits ``first`` of prefill on: at most ``budget``; one of ``ends`` is the
    last one."""
    logits = first
    for count in range(budget):
        token = sample(logits)
        yield token
        if token in ends or count + 1 == budget:
            return
        logits = loop.decode(token)
