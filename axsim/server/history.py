"""Which tokens are in the KV cache, and how many of them a new prompt has in common with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from axsim.inputs.prompts import Question

Row = int | tuple[bytes, int]
"""What a row of the cache is of: a token, or a picture's digest and the row's number in it."""


@dataclass(frozen=True)
class Rows:
    """The rows of a question; ``size`` of them belong to each picture."""

    question: Question
    size: int

    @cached_property
    def all(self) -> list[Row]:
        """What each is of."""
        found: list[Row] = list(self.question.tokens)
        digests = [sha256(picture.tobytes()).digest() for picture in self.question.pictures]
        for count, place in enumerate(self._places):
            picture, number = divmod(count, self.size)
            found[place] = digests[picture], number
        return found

    @cached_property
    def _places(self) -> list[int]:
        return [place for place, image in enumerate(self.question.image_rows) if image]

    def pictures_in(self, tokens: int) -> int:
        """Whole pictures among the first so many tokens."""
        return sum(place < tokens for place in self._places) // self.size if self.size else 0

    def common(self, kept: Sequence[Row]) -> int:
        """How many of the first rows the cache has: the longest common prefix, without a picture
        that is not there whole. The last row is never taken from there, since its output is what
        the first token of the answer is chosen from."""
        most = min(len(kept), len(self.all) - 1)
        same = next((n for n in range(most) if kept[n] != self.all[n]), most)
        inside = [place for place in self._places if place < same]
        cut = len(inside) % self.size if self.size else 0
        return inside[-cut] if cut else same
