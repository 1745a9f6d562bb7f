"""What the deployed model computes for the server: weights, arithmetics, the KV cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from axsim.compiler.partition import Deployment
from axsim.errors import InputError
from axsim.inputs.prompts import Question
from axsim.kernels.array import Array
from axsim.models.prompt import Prompt, prompt_of
from axsim.numerics.integer_graph import Integer
from axsim.numerics.ranges import Calibration
from axsim.numerics.steps import Arithmetic
from axsim.numerics.weight_only import WeightOnly
from axsim.runs.devices import Device, no_tick
from axsim.runs.host import HostLoop
from axsim.runs.reference import Picture, see
from axsim.runs.stock import Stock
from axsim.system.request import Call, Pass

Choose = Callable[[Array], int]
"""The token that logits [vocab] lead to."""
KeysAndValues = tuple[Array, Array]
"""[layers, 1, tokens, kv_dim] each."""


class Computing:
    """One model with its KV caches: :meth:`use` chooses one, :meth:`begin` prepares it for a
    question and :meth:`compute` takes the model through that.

    ``pictures``: what ``calibration`` takes the ranges of quantised activations from, [1, H, W, 3]
    u8 each.
    """

    def __init__(
        self,
        deployment: Deployment,
        stock: Stock,
        calibration: Calibration,
        pictures: Sequence[Array] = (),
    ) -> None:
        decoder = deployment.model.decoder
        assert decoder is not None
        self._vocabulary = decoder.vocab_size
        self._device = Device(
            deployment,
            stock.weights(deployment),
            stock.decoder(deployment),
            _vision_arithmetic(deployment, stock, calibration, pictures),
            WeightOnly(),
            lambda *_: self._go_on(),
        )
        self._loops = [
            HostLoop(deployment, self._device, self._prompt, self._chosen, self._see)
            for _ in range(deployment.workload.build.kv_slots)
        ]
        self.use(0)
        self._go_on: Callable[[], None] = lambda: None

    def use(self, slot: int) -> None:
        """Choose a KV cache."""
        self._loop = self._loops[slot]

    def begin(
        self,
        deployment: Deployment,
        question: Question,
        cached: int,
        new_pictures: Sequence[Array],
        choose: Choose,
        go_on: Callable[[], None],
    ) -> None:
        """A question, of which the first ``cached`` rows are in the cache. ``go_on`` is called
        often; what it raises ends the question."""
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
    deployment: Deployment, stock: Stock, calibration: Calibration, pictures: Sequence[Array]
) -> Arithmetic | None:
    """That of the build, once the ranges are taken from the pictures."""
    if deployment.vision is None:
        return None
    if deployment.workload.build.vision_dtype == "bf16":
        return WeightOnly()
    weights, packed = stock.weights(deployment), stock.vision(deployment)

    def prepare(name: str) -> object:
        return packed.prepare(name, weights)

    for picture in pictures:
        see([Picture(deployment, picture, calibration)], weights, no_tick, prepare)
    weights.forget()
    return Integer(calibration.qparams(deployment.vision.graph), packed)
