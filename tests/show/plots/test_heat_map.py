from __future__ import annotations

import pandas as pd
import pytest

import axsim
from axsim import InputError
from axsim.show.plots import chip_marks, heat_map, sweep_picture
from axsim.study.objective import Goal
from tests.show.plots.reading import drawn_texts, overlapping, smallest_text, texts

X, Y = "chip.dram.peak_gbps", "chip.npu.conv.int8_macs_per_cycle"
XS, YS = [8.0, 16.0, 24.0, 32.0], [1024, 2048, 4096]


@pytest.fixture
def frame() -> pd.DataFrame:
    rows = [{X: x, Y: y, "ttft_ms": 1000 / x + 1e6 / y, "error": None} for x in XS for y in YS]
    return pd.DataFrame(rows).assign(chip="ax630c", variant="448-u8")


def test_cells_are_the_rows(frame) -> None:
    figure = heat_map(frame.sample(frac=1, random_state=0), X, Y, "ttft_ms", title="mine")
    axes, bar = figure.axes
    mesh = axes.collections[0]
    expected = [[1000 / x + 1e6 / y for x in XS] for y in YS]
    cells = mesh.get_array().reshape(len(YS), len(XS))
    assert cells.tolist() == [pytest.approx(row) for row in expected]
    assert axes.get_xlabel() == f"{X}, GB/s"
    assert axes.get_ylabel() == f"{Y}, MACs per cycle"
    assert bar.get_ylabel() == "TTFT, ms"
    assert axes.get_xlim() == (8, 32)
    assert axes.get_ylim() == (1024, 4096)


def test_lines_of_equal_value_are_labelled_and_where_they_say(frame) -> None:
    figure = heat_map(frame, X, Y, "ttft_ms")
    labels = [text for text in drawn_texts(figure) if text in figure.axes[0].texts]
    assert len(labels) >= 3
    for label in labels:
        x, y = label.get_position()
        # the grid is coarse: lines are straight within a cell
        assert 1000 / x + 1e6 / y == pytest.approx(float(label.get_text()), rel=0.2)
    assert overlapping(drawn_texts(figure)) == []
    assert smallest_text(figure) >= 8


def test_colours_grow_lighter_with_the_value(frame) -> None:
    import matplotlib

    colours = matplotlib.colormaps[
        heat_map(frame, X, Y, "ttft_ms").axes[0].collections[0].cmap.name
    ]
    greys = [sum(w * c for w, c in zip((0.299, 0.587, 0.114), colours(i)[:3], strict=True))
             for i in range(0, 256, 8)]  # fmt: skip
    assert greys == sorted(greys)


def test_marks_are_where_the_chips_are(frame) -> None:
    chips = [axsim.load_chip(name) for name in ("ax630c", "ax650n")]
    marks = chip_marks(chips, X, Y)
    for chip in chips:
        assert marks[chip.name] == (chip.dram.bandwidth_gbps, chip.int8_macs_per_cycle)
    figure = heat_map(frame, X, Y, "ttft_ms", marks=marks)
    stars = [line.get_data() for line in figure.axes[0].lines if line.get_marker() == "*"]
    assert stars == [([9.6], [2048.0])]
    assert "ax630c" in texts(figure)
    assert "beyond the map: ax650n (34.128, 1024)" in figure.axes[0].get_xlabel()


def test_marks_know_other_keys() -> None:
    chip = axsim.load_chip("ax630c")
    assert chip_marks([chip], "chip.cpu.clock_mhz", "chip.npu.ocm_bytes") == {
        "ax630c": (chip.cpu.clock_mhz, chip.ocm_bytes)
    }
    assert chip_marks([chip], "build.prefill_chunk", "chip.cpu.clock_mhz") == {}
    assert chip_marks([chip], "chip.cpu.model", "chip.cpu.clock_mhz") == {}


def test_cells_without_a_value_stay_empty(frame) -> None:
    frame.loc[3, "ttft_ms"] = None
    mesh = heat_map(frame, X, Y, "ttft_ms").axes[0].collections[0]
    assert mesh.get_array().mask.sum() == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="ttft_ms"), "no such column"),
        (lambda f: f.assign(ttft_ms=None), "no numbers"),
        (lambda f: pd.concat([f, f]), "several rows"),
        (lambda f: f[f[X] == 8], "two or more values"),
    ],
)
def test_what_is_no_map(frame, change, message) -> None:
    with pytest.raises(InputError, match=message):
        heat_map(change(frame), X, Y, "ttft_ms")


def test_a_sweep_of_two_numeric_keys_is_a_map(frame) -> None:
    vary = {X: XS, Y: YS, "build.vision_dtype": ["u8"]}
    axes, _ = sweep_picture(frame, vary).axes
    assert axes.get_xlabel() == f"{X}, GB/s"
    two = pd.concat([frame, frame.assign(variant="224-u8", ttft_ms=1.0)])
    two["weights_bytes"] = 5
    assert sweep_picture(two, vary).axes[0].get_xlabel().startswith("TTFT, ms")


def test_the_best_cell_is_ringed_and_named(frame) -> None:
    vary = {X: XS, Y: YS}
    rows = frame.assign(decode_tokens_per_s=frame[X] + frame[Y] / 1e4)
    goal = Goal.parse("decode_tokens_per_s", "ttft_ms>=300")
    met = rows[rows["ttft_ms"] >= 300]
    wanted = met.loc[met["decode_tokens_per_s"].idxmax()]
    figure = sweep_picture(rows, vary, goal)
    axes = figure.axes[0]
    rings = [line for line in axes.lines if line.get_marker() == "o"]
    assert {(*line.get_xdata(), *line.get_ydata()) for line in rings} == {(wanted[X], wanted[Y])}
    assert {line.get_markeredgecolor() for line in rings} == {"white", "black"}
    assert f"best: {wanted['decode_tokens_per_s']:.2f}" in texts(figure)
    assert axes.get_title().endswith("ring: most decode_tokens_per_s with ttft_ms >= 300")
    # without a goal, the least of what is drawn
    least = rows.loc[rows["ttft_ms"].idxmin()]
    (ring, *_) = [
        line for line in sweep_picture(rows, vary).axes[0].lines if line.get_marker() == "o"
    ]
    assert (*ring.get_xdata(), *ring.get_ydata()) == (least[X], least[Y])
