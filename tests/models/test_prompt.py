"""A prompt in several turns has the positions and sights of one that is asked at once."""

from __future__ import annotations

import numpy as np
import pytest

from axsim.models.config import DecoderConfig, ModelConfig, ProjectorConfig
from axsim.models.prompt import Prompt, positions_of, prompt_of
from axsim.runs.host import MASKED, prefill_mask
from tests.models.towers import tower

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


@pytest.mark.parametrize("sections", [(), (2, 3, 3)])
def test_a_prompt_behind_another_has_the_positions_of_one(
    sections: tuple[int, ...],
) -> None:
    cfg = DecoderConfig("qwen2", 1, 32, 48, 2, 2, 50, mrope_section=sections)
    model = ModelConfig(cfg, tower(1, 32, 2, 56), ProjectorConfig(32))
    image = [True] * model.image_tokens(56)
    before, shown = [False, *image, False, False], [False, *image, False]
    seen = np.arange(len(image) * 32, dtype=np.float32).reshape(1, len(image), 32)

    def of(flags: list[bool], images: int, ahead: list[bool] | None = None) -> Prompt:
        rows = np.zeros((len(flags), 32), np.float32)
        known = None if ahead is None else np.array(ahead)
        return prompt_of(model, rows, np.array(flags), [seen] * images, 56, known)

    whole, later = of([*before, *shown], 2), of(shown, 1, before)
    at, count = len(before), len(shown) + 3
    assert later.start == at
    assert np.array_equal(later.indices(at, count), whole.indices(at, count))
    assert np.array_equal(later.rows, whole.rows[at:])


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
