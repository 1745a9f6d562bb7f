"""Windows at the edge of a picture, and the way back to its rows."""

from __future__ import annotations

import numpy as np
import pytest

from axsim.graph.builder import GraphBuilder
from axsim.models.config import VisionConfig
from axsim.models.tower_windows import by_windows, order, raster, regions
from axsim.numerics.executor import Executor

VISION = VisionConfig(1, 8, 8, 2, 14, 56, class_token=False, window_size=56)


@pytest.mark.parametrize("grid", [(4, 4), (8, 4), (6, 4), (4, 10), (6, 10), (2, 2), (2, 6), (9, 7)])
def test_tokens_of_a_window_stand_together(grid: tuple[int, int]) -> None:
    every = regions(VISION, grid)
    assert sum(region.tokens for region in every) == grid[0] * grid[1]
    places = iter(order(VISION, grid).tolist())
    windows = set()
    for region in every:
        for _ in range(region.windows):
            own = [divmod(next(places), grid[1]) for _ in range(region.high * region.wide)]
            assert len({(row // 4, column // 4) for row, column in own}) == 1
            windows.add((own[0][0] // 4, own[0][1] // 4))
    assert len(windows) == -(-grid[0] // 4) * -(-grid[1] // 4)


@pytest.mark.parametrize("grid", [(8, 4), (6, 10), (2, 6)])
def test_the_graph_orders_as_told_and_back(grid: tuple[int, int]) -> None:
    b = GraphBuilder("windows")
    x = b.input("x", (grid[0] * grid[1], 8))
    there = by_windows(b, VISION, grid, x)
    back = raster(b, VISION, grid, there, "back")
    graph = b.build([there, back])
    values = np.arange(grid[0] * grid[1] * 8, dtype=np.float32).reshape(-1, 8)
    executor = Executor(graph, lambda name: values)
    executor.feed({"x": values})
    for node in graph.nodes:
        executor.execute(node.name)
    assert np.array_equal(executor.fetch(there), values[order(VISION, grid)])
    assert np.array_equal(executor.fetch(back), values)
