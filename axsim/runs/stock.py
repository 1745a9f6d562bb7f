"""A model's weights in every form that deployments of one run want, each made once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from axsim.compiler.partition import Deployment
from axsim.models.checkpoint import Checkpoint
from axsim.models.weights import Weights, post_tensor
from axsim.numerics.integer_graph import IntegerWeights
from axsim.numerics.stored import StoredWeights
from axsim.runs.checkpoints import open_checkpoint
from axsim.runs.reference import Recent
from axsim.runs.sharing import Key


class Stock:
    """``checkpoint`` is None when the weights are synthetic.

    Raises InputError for a checkpoint that is broken or of another architecture.
    """

    def __init__(self, deployments: Sequence[Deployment], folder: str | None = None) -> None:
        self.checkpoint: Checkpoint | None = None
        if folder is not None:
            self.checkpoint = open_checkpoint(folder, deployments)
        self._known: dict[Key, Any] = {}

    @property
    def eos_token_ids(self) -> tuple[int, ...] | None:
        """The tokens that end an answer, if a checkpoint tells."""
        return None if self.checkpoint is None else self.checkpoint.eos_token_ids

    def weights(self, deployment: Deployment) -> Recent:
        """In float32, as they are made or read."""

        def make() -> Recent:
            if self.checkpoint is not None:
                return Recent(self.checkpoint)
            from axsim.models.synthetic import SyntheticWeights

            return Recent(SyntheticWeights(deployment.model, deployment.workload.request.seed))

        found: Recent = self._once(("weights", *_model_key(deployment)), make)
        return found

    def decoder(self, deployment: Deployment) -> StoredWeights:
        """The decoder's as the NPU stores them; only the last set of dtypes is kept."""
        build = deployment.workload.build
        dtypes = build.weight_dtype, build.post_weight_dtype
        key = ("decoder", *_model_key(deployment), *dtypes)
        if key not in self._known:
            for other in [k for k in self._known if k[0] == "decoder"]:
                del self._known[other]
        found: StoredWeights = self._once(
            key, lambda: decoder_weights(deployment, self.weights(deployment))
        )
        return found

    def vision(self, deployment: Deployment) -> IntegerWeights:
        """The vision part's, packed for integer products."""
        found: IntegerWeights = self._once(("vision", *_model_key(deployment)), IntegerWeights)
        return found

    def _once(self, key: Key, make: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]


def decoder_weights(deployment: Deployment, weights: Weights) -> StoredWeights:
    """A decoder as the NPU stores it, head included."""
    build, cfg = deployment.workload.build, deployment.model.decoder
    assert cfg is not None
    head = {post_tensor(cfg, "lm_head.weight"): build.post_weight_dtype}
    return StoredWeights(weights, build.weight_dtype, head, ready=True)


def _model_key(deployment: Deployment) -> Key:
    return deployment.model, deployment.workload.request.seed
