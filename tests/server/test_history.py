"""What a prompt has in common with the KV cache."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from axsim.inputs.prompts import Question
from axsim.server.history import Rows

IMAGE = 9


def rows(tokens: Sequence[int], *shades: int) -> Rows:
    """A prompt whose pictures, one for each run of two ``IMAGE`` tokens, are of one shade."""
    pictures = [np.full((1, 2, 2, 3), shade, np.uint8) for shade in shades]
    return Rows(Question(tokens, np.array(tokens) == IMAGE, pictures, ()), 2)


@pytest.mark.parametrize(
    ("kept", "asked", "common"),
    [
        ([1, 2, 3], [1, 2, 3, 4], 3),
        ([1, 2, 3], [1, 2, 3], 2),  # the last row is computed again
        ([1, 2, 3, 4, 5], [1, 2, 3], 2),
        ([1, 2, 3], [1, 5, 3], 1),
        ([1], [2], 0),
        ([], [1], 0),
    ],
)
def test_tokens(kept: list[int], asked: list[int], common: int) -> None:
    assert rows(asked).common(kept) == common


def test_the_same_picture_counts_whole_and_another_one_not_at_all() -> None:
    before = rows([1, IMAGE, IMAGE, 2], 5)
    again = rows([1, IMAGE, IMAGE, 2, 3], 5)
    assert again.common(before.all) == 4
    assert again.pictures_in(4) == 1
    other = rows([1, IMAGE, IMAGE, 2, 3], 6)
    assert other.common(before.all) == 1
    assert other.pictures_in(1) == 0
    both = rows([1, IMAGE, IMAGE, IMAGE, IMAGE, 3], 5, 6)
    assert both.common(before.all) == 3
    assert both.pictures_in(3) == 1


def test_a_picture_that_is_there_in_part_is_none() -> None:
    asked = rows([1, IMAGE, IMAGE, IMAGE, IMAGE, 3], 5, 5)
    assert asked.common(asked.all[:4]) == 3
    assert asked.common(asked.all[:2]) == 1
