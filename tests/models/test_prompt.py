"""A prompt in several turns has the positions and sights of one that is asked at once."""

from __future__ import annotations

import numpy as np
import pytest

from axsim.models.config import DecoderConfig
from axsim.models.prompt import Prompt, positions_of
from axsim.runs.host import MASKED, prefill_mask

GRID = (2, 3)
IMAGE = [True] * 6
TURNS = ([False] * 3 + IMAGE + [False] * 2, [False] * 4, [False] + IMAGE + [False] * 3)


def prompt(shown: list[bool], sections: tuple[int, ...], last: list[int] | None = None) -> Prompt:
    cfg = DecoderConfig("qwen2", 1, 32, 48, 2, 2, 50, mrope_section=sections)
    rows = np.zeros((len(shown), 32), np.float32)
    seen = None if last is None else np.array(last)
    return Prompt(rows, positions_of(cfg, np.array(shown), GRID), last=seen)


@pytest.mark.parametrize("sections", [(), (2, 3, 3)])
def test_positions_count_on_from_turn_to_turn(sections: tuple[int, ...]) -> None:
    answer = 2  # tokens of each answer that are in the cache
    whole = prompt([each for turn in TURNS for each in [*turn, *[False] * answer]], sections)
    at, earlier = 0, None
    for shown in TURNS:
        turn = prompt(shown, sections)
        turn = turn if earlier is None else turn.after(earlier, at)
        count = len(shown) + answer
        assert np.array_equal(turn.indices(at, count), whole.indices(at, count))
        at, earlier = at + count, turn


def test_rows_of_an_image_in_a_later_turn_see_all_of_it() -> None:
    """Also with a compiled history that is longer than what is cached."""
    first = prompt([False] * 4, ())
    later = prompt([False, *IMAGE], (), [0, *[6] * 6]).after(first, 4)
    for history in (4, 8):
        mask = later.opened(prefill_mask(8, 4, 7, history), 4, 7)
        seen = mask[0] == 0
        assert seen[:7, :4].all()
        assert not seen[:7, 4:history].any()
        assert seen[0, history:].tolist() == [True] + [False] * 7
        assert seen[1:7, history:].tolist() == [[True] * 7 + [False]] * 6
        assert (mask[0, 7] == MASKED).all()
