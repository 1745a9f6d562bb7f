"""Picture preparation, against the description of the reference."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("PIL")

from PIL import Image

from axsim.errors import InputError
from axsim.inputs.images import folder_pictures, one_tile, open_picture, tile_grid, tiles


def picture(width, height):
    rng = np.random.default_rng(width * height)
    return Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8))


@pytest.mark.parametrize(
    ("size", "grid"),
    [
        ((448, 448), (1, 1)),
        ((200, 200), (1, 1)),  # 2 × 2 has the same ratio, but the picture is too small for it
        ((700, 700), (2, 2)),  # more than half of 4 · 448²
        ((3000, 3000), (3, 3)),
        ((800, 600), (4, 3)),  # 1.33
        ((1920, 1080), (4, 2)),  # 1.78 is nearest to 2: of 2 × 1 and 4 × 2 the larger fits
        ((600, 320), (2, 1)),
        ((100, 1200), (1, 12)),
        ((1600, 100), (12, 1)),
    ],
)
def test_the_grid_of_the_nearest_aspect_ratio(size, grid):
    assert tile_grid(*size, 448) == grid


def test_few_tiles_at_most():
    assert tile_grid(5000, 100, 448, 1) == (1, 1)
    assert tile_grid(5000, 100, 448, 6) == (6, 1)


def test_tiles_are_cut_row_by_row_with_a_thumbnail_behind_them():
    whole = picture(100, 70)
    found = tiles(whole, 28)
    columns, rows = tile_grid(100, 70, 28)
    assert (columns, rows) == (3, 2)  # 1.5 is nearer to 1.43 than 4 / 3 is
    assert len(found) == 7
    resized = whole.resize((28 * 3, 28 * 2), Image.Resampling.BICUBIC)
    for index in range(6):
        left, top = index % 3 * 28, index // 3 * 28
        expected = np.asarray(resized.crop((left, top, left + 28, top + 28)))
        np.testing.assert_array_equal(found[index][0], expected)
    np.testing.assert_array_equal(found[-1][0], np.asarray(whole.resize((28, 28), 3)))
    assert all(tile.shape == (1, 28, 28, 3) and tile.dtype == np.uint8 for tile in found)
    assert len(tiles(picture(30, 30), 28)) == 1


def test_one_tile_is_bilinear_between_pixel_centres():
    ramp = np.repeat(np.arange(8, dtype=np.uint8)[None, :, None] * 10, 8, axis=0).repeat(3, axis=2)
    found = one_tile(Image.fromarray(ramp), 4)[0]
    np.testing.assert_array_equal(found[0, :, 0], [5, 25, 45, 65])
    enlarged = one_tile(Image.fromarray(ramp), 16)[0, 3, :, 1]
    np.testing.assert_array_equal(enlarged[:4], [0, 3, 8, 13])  # 2.5 and 7.5 round up
    same = picture(28, 28)
    np.testing.assert_array_equal(one_tile(same, 28)[0], np.asarray(same))


def test_normalisation_in_the_graph_is_that_of_the_reference():
    """(x / 255 - mean) / std, computed by the first nodes of the vision graph."""
    from axsim.models.vision import vision_graph
    from axsim.numerics.executor import Executor
    from tests.runs.tiny import VISION

    graph = vision_graph(VISION, 56)
    pixels = one_tile(picture(90, 60), 56)
    executor = Executor(graph, lambda name: None, keep=["normalize.transpose"])
    executor.feed({"input": pixels})
    for node in graph.nodes[:4]:
        executor.execute(node.name)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    expected = ((pixels / 255 - mean) / std).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(executor.fetch("normalize.transpose"), expected, atol=2e-6)


def test_files(tmp_path):
    picture(9, 7).save(tmp_path / "b.png")
    Image.new("RGBA", (5, 5)).save(tmp_path / "a.PNG")
    (tmp_path / "notes.txt").write_text("x")
    assert [p.name for p in folder_pictures(tmp_path)] == ["a.PNG", "b.png"]
    assert open_picture(tmp_path / "a.PNG").mode == "RGB"
    with pytest.raises(InputError, match=r"notes\.txt is no readable picture"):
        open_picture(tmp_path / "notes.txt")
    with pytest.raises(InputError, match="no readable picture: No such file"):
        open_picture(tmp_path / "c.png")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="has no pictures"):
        folder_pictures(tmp_path / "empty")
    with pytest.raises(InputError, match="is no folder"):
        folder_pictures(tmp_path / "none")
