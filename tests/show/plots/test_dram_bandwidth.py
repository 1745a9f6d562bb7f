from __future__ import annotations

import pytest

from axsim.show.plots import dram_bandwidth
from axsim.show.plots.dram_bandwidth import INTERVALS, LOST_BANDWIDTH
from tests.show.plots.reading import (
    drawn_texts,
    legend_names,
    overlapping,
    smallest_text,
    texts,
)


def areas(axes) -> dict[str, float]:
    """Megabytes (GB/s times ms) of each area."""
    found = {}
    for patch in axes.patches:
        values, edges, base = patch.get_data()
        assert len(values) == INTERVALS
        found[patch.get_label()] = float(((values - base) * (edges[1:] - edges[:-1])).sum())
    return found


def test_areas_are_the_bytes_moved(small, large) -> None:
    for run in (small, large):
        for timeline in (
            run["224-u16"].planned.of("vision")[0].timeline,
            run["224-u16"].planned.of("decode")[0].timeline,
        ):
            upper, _ = dram_bandwidth(timeline).axes
            expected: dict[str, float] = {}
            cost = 0.0
            for _, task, _, _ in timeline.slices():
                if task.dram_bytes:
                    expected[task.kind] = expected.get(task.kind, 0) + task.dram_bytes / 1e6
                cost += task.dram_cost_bytes / 1e6
            drawn = areas(upper)
            lost = drawn.pop(LOST_BANDWIDTH)
            assert drawn == pytest.approx(expected, rel=1e-6)
            assert lost == pytest.approx(cost - sum(expected.values()), rel=1e-6)


def test_nothing_is_above_the_effective_bandwidth(small) -> None:
    upper, lower = dram_bandwidth(small["448-u16"].planned.of("vision")[0].timeline).axes
    bandwidth = small["448-u16"].chip.sustained_gbps
    assert [line.get_ydata()[0] for line in upper.lines] == [bandwidth]
    assert max(patch.get_data().values.max() for patch in upper.patches) <= bandwidth * 1.000001
    assert upper.get_ylabel() == "DRAM, GB/s"
    assert lower.get_ylabel() == "OCM, MiB"
    assert upper.get_xlim() == lower.get_xlim()


def test_a_variant_shows_its_memory_against_the_modes(small, large) -> None:
    for run in (small, large):
        variant = run["448-u16"]
        figure = dram_bandwidth(variant, stages=["vision", "decode"])
        assert len(figure.axes) == 4
        _, lower, *_ = figure.axes
        used, size = lower.lines
        capacity = variant.deployment.mode.ocm_bytes / 2**20
        assert size.get_ydata()[0] == pytest.approx(capacity)
        segments = variant.planned.of("vision")[0].timeline.program.segments
        most = max(max(segment.ocm_bytes) for segment in segments) / 2**20
        assert (
            used.get_ydata().max()
            if hasattr(used.get_ydata(), "max")
            else max(used.get_ydata()) == pytest.approx(most)
        )
        assert LOST_BANDWIDTH in legend_names(figure)
        assert any("effective bandwidth" in text for text in texts(figure))
        assert smallest_text(figure) >= 8
        assert overlapping(drawn_texts(figure)) == []
