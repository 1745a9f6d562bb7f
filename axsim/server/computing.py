"""What the deployed model computes for the server: weights, arithmetics, the KV cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.inputs.prompts import Question
from axsim.kernels.array import Array
from axsim.models.prompt import Prompt, prompt_of
from axsim.models.weights import Weights, post_tensor
from axsim.numerics.integer_graph import Integer, IntegerWeights
from axsim.numerics.ranges import Calibration
from axsim.numerics.steps import Arithmetic
from axsim.numerics.stored import StoredWeights
from axsim.numerics.weight_only import WeightOnly
from axsim.runs.devices import Device, no_tick
from axsim.runs.host import HostLoop
from axsim.runs.reference import Picture, Recent, see
from axsim.system.request import Call, Pass

Choose = Callable[[Array], int]
"""The token that logits [vocab] lead to."""
KeysAndValues = tuple[Array, Array]
"""[layers, 1, tokens, kv_dim] each."""


class Computing:
    """One KV cache on one model, which :meth:`begin` prepares for a question and :meth:`compute`
    takes through it. ``go_on`` is called often; what it raises ends the question.

    ``pictures``: what the ranges of quantised activations are taken from, [1, S, S, 3] u8 each.
    """

    def __init__(
        self, deployment: Deployment, weights: Weights, pictures: Sequence[Array] = ()
    ) -> None:
        build, decoder = deployment.workload.build, deployment.model.decoder
        assert decoder is not None
        self._weights = Recent(weights)
        head = {post_tensor(decoder, "lm_head.weight"): build.post_weight_dtype}
        stored = StoredWeights(self._weights, build.weight_dtype, head, ready=True)
        self._vocabulary = decoder.vocab_size
        vision = self._vision_arithmetic(deployment, pictures)
        self._device = Device(
            deployment, self._weights, stored, vision, WeightOnly(), lambda *_: self._go_on()
        )
        self._loop = HostLoop(deployment, self._device, self._prompt, self._chosen, self._see)
        self._go_on: Callable[[], None] = lambda: None

    def begin(
        self,
        deployment: Deployment,
        question: Question,
        cached: int,
        new_pictures: Sequence[Array],
        choose: Choose,
        go_on: Callable[[], None],
    ) -> None:
        """A question, of which the first ``cached`` rows are in the cache."""
        self._deployment, self._question, self._cached = deployment, question, cached
        self._pictures, self._choose, self._go_on = new_pictures, choose, go_on
        self._seen: list[Array] = []
        self._loop.resume(deployment, cached)

    def compute(self, work: Pass, call: Call, layer: int) -> int | None:
        """See :class:`axsim.system.request.Compute`."""
        self._go_on()
        return self._loop.compute(work, call, layer)

    def keys_and_values(self, tokens: int) -> KeysAndValues:
        """Those of the first tokens in the cache, copied."""
        return self._loop.keys_and_values(tokens)

    def restore(self, kept: KeysAndValues) -> None:
        """Put them there again."""
        self._loop.restore(kept)

    def _see(self, index: int) -> None:
        part = self._deployment.vision
        assert part is not None
        self._seen.append(self._device.vision(part, self._pictures[index]))

    def _chosen(self, logits: Array) -> int:
        return self._choose(logits)

    def _prompt(self) -> Prompt:
        """The embedded rows that are new, the pictures' in their place."""
        asked, cached = self._question, self._cached
        if max(asked.tokens) >= self._vocabulary:
            what = f"the tokenizer has the id {max(asked.tokens)}"
            raise InputError(f"{what}, the model {self._vocabulary} rows for embeddings")
        rows = self._device.embed(list(asked.tokens[cached:]))
        size = self._deployment.workload.image_size
        before, new = asked.image_rows[:cached], asked.image_rows[cached:]
        return prompt_of(self._deployment.model, rows, new, self._seen, size, before)

    def _vision_arithmetic(
        self, deployment: Deployment, pictures: Sequence[Array]
    ) -> Arithmetic | None:
        if deployment.vision is None:
            return None
        if deployment.workload.build.vision_dtype == "bf16":
            return WeightOnly()
        calibration, packed = Calibration(), IntegerWeights()

        def prepare(name: str) -> object:
            return packed.prepare(name, self._weights)

        for picture in pictures:
            see([Picture(deployment, picture, calibration)], self._weights, no_tick, prepare)
        self._weights.forget()
        return Integer(calibration.qparams(deployment.vision.graph), packed)
