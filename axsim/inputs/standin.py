"""Prompts for weights that nobody trained: words for token ids where there is no tokenizer.

Every id has a word of its own; any other text becomes ids that depend on nothing but itself.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from zlib import crc32

import numpy as np

from axsim.errors import InputError
from axsim.inputs.images import prepared
from axsim.inputs.prompts import Question
from axsim.inputs.template import Message
from axsim.spec.workload import Workload

_CONSONANTS, _VOWELS = "bcdfghjklmnprstvwxyz", "aeiou"
_SYLLABLES = [consonant + vowel for consonant in _CONSONANTS for vowel in _VOWELS]
_DIGIT = {syllable: number for number, syllable in enumerate(_SYLLABLES)}
_LETTERS = 6  # three syllables: a million words

_PIECES = re.compile(rf" ?[^\W\d]{{1,{_LETTERS}}}|\d| ?[^\s\w]|\s+")
"""Text in pieces about as long as a tokenizer's."""


class StandIn:
    """Words of a vocabulary, in place of a checkpoint's tokenizer."""

    def __init__(self, vocabulary: int) -> None:
        self._vocabulary = vocabulary

    def encode(self, text: str) -> list[int]:
        """Token ids of ``text``; those of its own words, if it is made of them."""
        return [self._id(piece) for piece in _PIECES.findall(text)]

    def decode(self, ids: Sequence[int]) -> str:
        """The words of ``ids``, a space before each."""
        return "".join(" " + _word(each) for each in ids)

    def _id(self, piece: str) -> int:
        word = piece.strip()
        digits = [_DIGIT.get(word[at : at + 2], -1) for at in range(0, len(word), 2)]
        if len(word) == _LETTERS and min(digits) >= 0:
            number = (digits[0] * 100 + digits[1]) * 100 + digits[2]
            if number < self._vocabulary:
                return number
        return crc32(piece.encode("utf-8")) % self._vocabulary


def _word(number: int) -> str:
    rest, last = divmod(number, 100)
    first, second = divmod(rest, 100)
    return _SYLLABLES[first] + _SYLLABLES[second] + _SYLLABLES[last]


class SeededPrompts:
    """See :class:`axsim.inputs.prompts.Prompts`; one mark opens a message and one ends it."""

    def __init__(self, vocabulary: int) -> None:
        self.tokens = StandIn(vocabulary)
        self._vocabulary = vocabulary

    def question(
        self, workload: Workload, messages: Sequence[Message], pictures: Sequence[Any] = ()
    ) -> Question:
        """A conversation that ends with a question; InputError for pictures without a tower."""
        if pictures and workload.model.vision is None:
            raise InputError(f"{workload.name} has no vision tower for a picture")
        ids: list[int] = []
        image_rows: list[bool] = []

        def add(more: Sequence[int], image: bool = False) -> None:
            ids.extend(more)
            image_rows.extend([image] * len(more))

        for role, said in messages:
            add([self._mark(role)])
            for number, text in enumerate(said):
                if number:
                    add([self._mark("image")] * workload.image_tokens, image=True)
                add(self.tokens.encode(text))
            add([self._mark("end")])
        add([self._mark("assistant")])
        tiles = [tile for each in pictures for tile in prepared(each, workload.image_size)]
        return Question(ids, np.array(image_rows), tiles, ())

    def _mark(self, name: str) -> int:
        return crc32(f"<|{name}|>".encode()) % self._vocabulary
