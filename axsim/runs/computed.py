"""What the kernels of a build computed, beside float32."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from axsim.errors import InputError

if TYPE_CHECKING:
    from axsim.numerics.likelihood import TextScore


@dataclass(frozen=True)
class Numerics:
    """What the kernels computed.

    Cosine similarity of the deployed arithmetic to float32, for the vision part's output over all
    images and for the logits of the first token; the generated tokens; the token that float32 would
    have chosen first. ``synthetic`` says that the weights are seeded random numbers: then the
    similarities show the arithmetic, not the accuracy of a trained model. ``calibrated_on`` tells
    what the ranges of U8 and U16 activations were taken from, ``compared_on`` the pictures that
    ``vision_cosine`` is over. ``graph_cosine`` is the similarity of a network from an ONNX file, of
    its output that fares worst. ``logits_cosine`` looks at one position: the first token's after
    the request's prompt. ``text`` judges a checkpoint's decoder on a whole text, ``judged_on``;
    None for synthetic weights, and when the checkpoint was ``not_judged`` for the reason given.
    """

    synthetic: bool
    vision_cosine: float | None
    logits_cosine: float | None
    tokens: tuple[int, ...]
    reference_token: int | None
    stopped_at_eos: bool
    calibrated_on: str | None = None
    graph_cosine: float | None = None
    compared_on: str | None = None
    text: TextScore | None = None
    judged_on: str | None = None
    not_judged: str | None = None

    def __post_init__(self) -> None:
        found = (self.vision_cosine, self.logits_cosine, self.graph_cosine)
        if not all(isfinite(each) for each in found if each is not None):
            raise InputError(
                "the kernels' results are infinite or no numbers: with these weights and inputs "
                "activations overflow"
            )

    @property
    def cosine(self) -> float | None:
        """The similarity that a build is judged by: of the vision part's output, which image size
        and activation dtype decide, or of the logits where there is no vision part."""
        found = (self.graph_cosine, self.vision_cosine, self.logits_cosine)
        return next((each for each in found if each is not None), None)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "synthetic": self.synthetic,
            "vision_cosine": self.vision_cosine,
            "logits_cosine": self.logits_cosine,
            "graph_cosine": self.graph_cosine,
            "tokens": list(self.tokens),
            "reference_token": self.reference_token,
            "stopped_at_eos": self.stopped_at_eos,
            "calibrated_on": self.calibrated_on,
            "compared_on": self.compared_on,
            "text": None if self.text is None else {"name": self.judged_on, **self.text.to_dict()},
            "not_judged": self.not_judged,
        }


def numeric_columns(numerics: Numerics | None) -> dict[str, Any]:
    """The columns of a table that the kernels fill; None where they did not run."""
    text = numerics.text.to_dict() if numerics and numerics.text else {}
    return {
        "synthetic": numerics.synthetic if numerics else None,
        "cosine": numerics.cosine if numerics else None,
        "vision_cosine": numerics.vision_cosine if numerics else None,
        "logits_cosine": numerics.logits_cosine if numerics else None,
        "graph_cosine": numerics.graph_cosine if numerics else None,
        "float32_perplexity": text.get("float32_perplexity"),
        "perplexity": text.get("perplexity"),
        "kl_divergence": text.get("kl_divergence"),
        "top1_agreement": text.get("top1_agreement"),
        "judged_tokens": text.get("tokens"),
        "generated_tokens": len(numerics.tokens) if numerics else None,
    }
