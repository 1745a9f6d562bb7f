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

    def placed(self, rows: Array, start: int) -> Array:
        """Rows [tokens, hidden] of the tokens from ``start`` on, with their positions where those
        are learnt."""


class HostLoop:
    """One request's numbers on one device; :meth:`compute` takes the walk's calls.

    ``see(index)`` computes an image; ``prompt()``, which is asked once, gives the whole
    prompt, rows of images included; ``choose(logits)`` a token.
    ``position`` counts the tokens whose K and V are in the caches, ``tokens`` are the chosen ones
    and ``first_logits`` [vocab] what the first of them was chosen from. :meth:`follow` goes on to
    another turn, :meth:`precompute` fills the caches before the first, :meth:`resume` goes back to
    a part of them.
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
        self._asked: Prompt | None = None
        self._start = self._length = 0  # tokens before the turn's prompt and at its end
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
                self._begin(self._prompt(), len(self._deployment.prefill))
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
        rows: Array = np.concatenate(self._hidden, axis=1)[0, : self._length - self._start]
        return rows

    def precompute(self, prompt: Prompt) -> None:
        """Fill the caches with a prompt that the request finds there."""
        subgraphs = self._deployment.chunks(0, len(prompt.rows))
        self._begin(prompt, len(subgraphs))
        for layer in range(self._config.num_hidden_layers):
            for chunk, subgraph in enumerate(subgraphs):
                self._prefill(Call(subgraph, chunk), layer)
        self.position = self._length

    def follow(self, deployment: Deployment) -> None:
        """The next turn, on what is in the caches: its prompt begins with the last token of the
        answer, whose K and V are not."""
        self._deployment = deployment

    def resume(self, deployment: Deployment, cached: int) -> None:
        """Another prompt, on the first ``cached`` tokens in the caches; it says itself that it is
        behind them, see :func:`axsim.models.prompt.prompt_of`."""
        self._deployment, self._asked, self.position = deployment, None, cached

    def keys_and_values(self, tokens: int) -> tuple[Array, Array]:
        """Copies of the caches [layers, 1, tokens, kv_dim] up to there."""
        return self._k[:, :, :tokens].copy(), self._v[:, :, :tokens].copy()

    def restore(self, kept: tuple[Array, Array]) -> None:
        """Put such copies back."""
        for cache, rows in zip((self._k, self._v), kept, strict=True):
            cache[:, :, : rows.shape[2]] = rows

    def _begin(self, prompt: Prompt, chunks: int) -> None:
        """A whole prompt, padded to whole chunks, behind what is in the caches."""
        if self._asked is not None:
            prompt = prompt.after(self._asked, self.position)
        self._asked, rows = prompt, self._device.placed(prompt.rows, self.position)
        size = self._deployment.workload.build.prefill_chunk
        if len(rows) > chunks * size:
            raise ValueError(f"{len(rows)} tokens do not fit {chunks} chunks of {size}")
        self._hidden, self.tokens = [], []
        for start in range(0, chunks * size, size):
            padded = np.zeros((1, size, rows.shape[1]), np.float32)
            real = rows[start : start + size]
            padded[0, : len(real)] = real
            self._hidden.append(padded)
        self._start, self._length = self.position, self.position + len(rows)

    def _prefill(self, call: Call, layer: int) -> None:
        prompt, build = self._asked, self._deployment.workload.build
        assert prompt is not None
        size = build.prefill_chunk
        row = call.chunk * size
        start = self._start + row
        real = max(0, min(size, self._length - start))
        history = build.history(start)
        hidden = self._layer(
            call.subgraph,
            layer,
            self._hidden[call.chunk],
            history,
            start,
            real,
            prompt.opened(prefill_mask(size, start, real, history), start, real),
        )
        if layer < len(prompt.deep):
            hidden[0, :real] += prompt.deep[layer][row : row + real]
        self._hidden[call.chunk] = hidden

    def _begin_token(self, token: int) -> None:
        """The embedded token, and a mask over all that is cached and itself."""
        if self.position >= self._capacity:
            raise ValueError(f"the KV cache holds {self._capacity} tokens")
        self._mask = np.full((1, 1, self._capacity + 1), MASKED)
        self._mask[..., : self.position] = self._mask[..., -1] = 0
        self._hidden = [self._device.placed(self._device.embed([token]), self.position)[None]]

    def _post(self, subgraph: Subgraph) -> int:
        """Logits of the last real row, and the token that they lead to."""
        first = not self.tokens
        chunk, row = 0, 0
        if first:
            chunk, row = divmod(self._length - 1 - self._start, self._hidden[0].shape[1])
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
        assert self._asked is not None
        out = self._device.layer(
            subgraph,
            layer,
            {
                "K_cache": _history(k, cached, hidden_size),
                "V_cache": _history(v, cached, hidden_size),
                "indices": self._asked.indices(start, new),
                "input": rows,
                "mask": windowed(mask, self._config, layer, start),
                **self._asked.of_layer(layer),
            },
        )
        k[0, start : start + real] = out["K_cache_out"][0, :real]
        v[0, start : start + real] = out["V_cache_out"][0, :real]
        return out["output"]


def _history(cache: Array, length: int, hidden_size: int) -> Array:
    """The first ``length`` rows of a cache [1, capacity, kv], with zeros behind its end; the dummy
    [1, 1, hidden_size] of a group without history."""
    if not length:
        return np.zeros((1, 1, hidden_size), np.float32)
    beyond = max(0, length - cache.shape[1])
    return np.pad(cache, ((0, 0), (0, beyond), (0, 0))) if beyond else cache[:, :length]


def prefill_mask(chunk: int, cached: int, real: int, history: int | None = None) -> Array:
    """[1, chunk, history + chunk]: 0 where a row may look, MASKED elsewhere; ``cached`` rows of the
    history are real, by default all of it. Rows from ``real`` on are padding and see nothing."""
    history = cached if history is None else history
    mask = np.full((1, chunk, history + chunk), MASKED)
    column = np.arange(history + chunk)
    allowed = column <= np.arange(chunk)[:, None] + history
    allowed &= (column < cached) | (column >= history)
    allowed[real:] = False
    mask[0, allowed] = 0
    return mask
