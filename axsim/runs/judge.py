"""Builds judged on a text: every token predicted from those before it, in float32 and as deployed.

The text goes the way of a prompt: through the layers in prefill chunks over the KV cache, whatever
was predicted (teacher forcing); then the head on every row. A text longer than the KV cache is read
in pieces, each from an empty cache.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from axsim.compiler.partition import Deployment
from axsim.graph.ir import Graph
from axsim.inputs.passage import Passage
from axsim.kernels.array import Array
from axsim.models.decoder import post_graph
from axsim.models.weights import Weights, post_weights
from axsim.numerics.executor import Executor
from axsim.numerics.formats import DecoderScheme, assign
from axsim.numerics.likelihood import Likelihood, TextScore
from axsim.numerics.steps import Arithmetic
from axsim.numerics.stored import StoredWeights
from axsim.numerics.weight_only import WeightOnly
from axsim.runs.asked import check_vocabulary, text_prompt
from axsim.runs.devices import Device, Tick, no_tick
from axsim.runs.host import HostLoop
from axsim.runs.sharing import Key
from axsim.spec.descriptor import override
from axsim.system.request import ride, walk

ROWS = 32
"""Rows of the head at a time: a row has a logit for each token of the vocabulary."""


class Judge:
    """Judges builds on ``passage``. What float32 makes of it is kept for the next build."""

    def __init__(self, passage: Passage, tick: Tick = no_tick) -> None:
        self.passage = passage
        self._tick = tick
        self._references: dict[Key, Array] = {}

    def score(self, deployment: Deployment, weights: Weights, stored: StoredWeights) -> TextScore:
        """A deployed decoder on the whole text; ``stored`` are its weights as the NPU has them.

        Raises InputError when the tokenizer has more tokens than the model.
        """
        check_vocabulary(deployment, self.passage.tokens)
        likelihood = Likelihood()
        exact = _Head(deployment, weights, None, self._tick)
        rounded = _Head(deployment, stored, WeightOnly(), self._tick)
        windows = self.passage.windows(capacity(deployment))
        for index, tokens in enumerate(windows):
            key = deployment.model, id(weights), index, len(tokens)
            request = reading(deployment, len(tokens))
            if key not in self._references:
                plain = Device(request, weights, tick=self._tick)
                self._references[key] = _read(request, plain, tokens)
            device = Device(request, weights, stored, None, WeightOnly(), self._tick)
            both = exact(self._references[key]), rounded(_read(request, device, tokens))
            targets = np.array(tokens[1:])
            for start, reference, found in zip(range(0, len(targets), ROWS), *both, strict=False):
                following = targets[start : start + ROWS]
                likelihood.add(reference[: len(following)], found[: len(following)], following)
        return likelihood.score()

    def macs(self, deployment: Deployment) -> tuple[float, float]:
        """Multiply-accumulates of reading the text once: of the layers, and of the head."""
        cfg = deployment.model.decoder
        assert cfg is not None
        windows = self.passage.windows(capacity(deployment))
        layers = sum(
            step.macs
            for tokens in windows
            for part in reading(deployment, len(tokens)).prefill
            for segment in part.program.segments
            for step in segment.steps
        )
        blocks = sum(-(-(len(tokens) - 1) // ROWS) for tokens in windows)
        head = blocks * ROWS * cfg.hidden_size * cfg.vocab_size
        return float(layers * cfg.num_hidden_layers), float(head)


def capacity(deployment: Deployment) -> int:
    """Tokens that the build can read at a time."""
    build = deployment.workload.build
    ladder, chunk = build.compiled_histories, build.prefill_chunk
    compiled = (ladder[-1] // chunk + 1) * chunk if ladder else build.kv_cache_len
    return min(build.kv_cache_len, compiled)


def reading(deployment: Deployment, tokens: int) -> Deployment:
    """The same build, asked to read so many tokens of text."""
    keys: dict[str, object] = {
        "request.turns": (),
        "request.video": None,
        "request.cached_tokens": 0,
        "request.prompt_tokens": tokens,
        "request.new_tokens": 1,
        "request.images": 0 if deployment.model.vision is not None else None,
    }
    return Deployment(override(deployment.workload, keys), deployment.chip)


def _read(request: Deployment, device: Device, tokens: Sequence[int]) -> Array:
    """What the last layer gives for each token [tokens, hidden]."""
    loop = HostLoop(
        request, device, lambda: text_prompt(request, device.embed, tokens), lambda logits: 0
    )
    for _ in ride(walk(request, 1), loop.compute):
        pass
    return loop.hidden


class _Head:
    """Final norm and head on many rows."""

    def __init__(
        self,
        deployment: Deployment,
        weights: Weights | StoredWeights,
        arithmetic: Arithmetic | None,
        tick: Tick,
    ) -> None:
        cfg, build = deployment.model.decoder, deployment.workload.build
        assert cfg is not None
        scheme = DecoderScheme(build.post_weight_dtype, build.hidden_dtype)
        graph: Graph = assign(post_graph(cfg, ROWS), scheme)
        self._macs, self._tick = ROWS * cfg.hidden_size * cfg.vocab_size, tick
        self._kind = "float32" if arithmetic is None else "prefill"
        get = post_weights(weights, cfg)  # type: ignore[arg-type]
        self._executor = Executor(graph, get, arithmetic)

    def __call__(self, hidden: Array) -> Iterator[Array]:
        """Logits [ROWS, vocab] of rows [tokens, hidden], so many at a time; the last may be
        padded."""
        for start in range(0, len(hidden), ROWS):
            rows = hidden[start : start + ROWS]
            padded = np.zeros((1, ROWS, hidden.shape[1]), np.float32)
            padded[0, : len(rows)] = rows
            logits: Array = self._executor.run_all({"input": padded})["output"][0]
            self._tick(self._macs, self._kind)
            yield logits
