from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import axsim
from axsim import InputError
from axsim.show.plots import accuracy_picture, sweep_picture, tradeoff
from axsim.study.objective import Goal
from tests.show.plots.reading import drawn_texts, legend_names, overlapping, smallest_text, texts

ROWS = [
    ("a", "u8", 10.0, 0.95),
    ("a", "u16", 20.0, 0.999),
    ("a", "bf16", 90.0, 0.9995),
    ("a", "mixed", 25.0, 0.99),
    ("b", "u8", 5.0, 0.95),
    ("b", "u16", 9.0, 0.9985),
    ("b", "lost", 7.0, None),
]


@pytest.fixture
def frame() -> pd.DataFrame:
    found = pd.DataFrame(ROWS, columns=["chip", "variant", "image_to_first_token_ms", "cosine"])
    return found.assign(synthetic=True, error=None, weights_bytes=1e6)


def series(figure) -> dict[str, list[tuple[float, float]]]:
    (axes,) = figure.axes
    return {
        line.get_label(): list(zip(*line.get_data(), strict=True))
        for line in axes.lines
        if line.get_linestyle() == "None"
    }


def fronts(figure) -> list[list[tuple[float, float]]]:
    lines = [line for line in figure.axes[0].lines if line.get_drawstyle() != "default"]
    return [list(zip(*line.get_data(), strict=True)) for line in lines]


def test_points_and_fronts_are_the_rows(frame) -> None:
    figure = tradeoff(frame)
    found = series(figure)
    for chip in "ab":
        assert found[chip] == [row[2:] for row in ROWS if row[0] == chip and row[3]]
    assert fronts(figure) == [
        [(10.0, 0.95), (20.0, 0.999), (90.0, 0.9995)],
        [(5.0, 0.95), (9.0, 0.9985)],
    ]
    for front, chip in zip(fronts(figure), "ab", strict=True):
        rows = frame[frame["chip"] == chip]
        best = axsim.pareto(rows, minimise="image_to_first_token_ms", maximise="cosine")
        assert sorted(front) == sorted(
            zip(best["image_to_first_token_ms"], best["cosine"], strict=True)
        )
    together = tradeoff(frame, group=None)
    assert fronts(together) == [[(5.0, 0.95), (9.0, 0.9985), (20.0, 0.999), (90.0, 0.9995)]]


def test_axes_and_notes_say_what_is_shown(frame) -> None:
    figure = tradeoff(frame, title="mine")
    (axes,) = figure.axes
    assert axes.get_xlabel() == "image to first token, ms  (less is better)"
    assert axes.get_ylabel() == "cosine similarity to float32  (more is better)"
    assert axes.get_xscale() == "log"
    assert axes.get_title().startswith("mine\ncosine on synthetic weights")
    assert legend_names(figure) == ["Pareto front of each", "a", "b"]
    for synthetic in (False, None, np.nan):
        assert tradeoff(frame.assign(synthetic=synthetic)).axes[0].get_title() == ""


def test_stairs_turn_the_way_of_the_better_side(frame) -> None:
    def steps(figure):
        return {line.get_drawstyle() for line in figure.axes[0].lines} - {"default"}

    assert steps(tradeoff(frame)) == {"steps-post"}
    assert steps(tradeoff(frame, x_direction="max")) == {"steps-pre"}


def test_labels_stand_clear_of_each_other() -> None:
    rng = np.random.default_rng(0)
    points = pd.DataFrame(
        {
            "ttft_ms": 100 + rng.random(20),
            "cosine": 0.98 + 0.01 * rng.random(20),
            "variant": [f"variant {index}" for index in range(20)],
            "chip": "x",
        }
    )
    figure = tradeoff(points, "ttft_ms")
    labels = [t for t in figure.axes[0].texts if t.get_text()]
    assert sorted(t.get_text() for t in labels) == sorted(points["variant"])
    assert overlapping(drawn_texts(figure)) == []
    assert smallest_text(figure) >= 8


def test_many_rows_leave_the_labels_to_the_front() -> None:
    points = pd.DataFrame(
        {
            "ttft_ms": range(1, 101),
            "weights_bytes": [1000 - each for each in range(10)] + [2000] * 90,
            "variant": [f"v{index}" for index in range(100)],
            "chip": "x",
        }
    )
    figure = tradeoff(points, "ttft_ms", "weights_bytes")
    assert sorted(t.get_text() for t in figure.axes[0].texts if t.get_text()) == [
        f"v{index}" for index in range(10)
    ]
    assert figure.axes[0].get_ylabel().startswith("weights, MB")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"x": "tftt_ms"}, "no such column"),
        ({"y": "variant", "y_direction": "min"}, "no numbers"),
        ({"label": "varaint"}, "did you mean 'variant'"),
        ({"y": "synthetic"}, "max:synthetic"),
    ],
)
def test_what_cannot_be_drawn(frame, options, message) -> None:
    with pytest.raises(InputError, match=message):
        tradeoff(frame, **options)


def test_nothing_to_draw(frame) -> None:
    with pytest.raises(InputError, match="nothing to draw"):
        tradeoff(frame.assign(cosine=None))


def test_a_sweeps_picture_is_a_trade_off_by_default(frame) -> None:
    vary = {"variant": ["u8", "u16", "bf16"]}
    figure = sweep_picture(frame, vary)
    assert set(series(figure)) == {"a", "b"}
    timed = frame.assign(cosine=None)
    assert sweep_picture(timed, vary).axes[0].get_ylabel().startswith("weights, MB")
    goal = Goal.parse(["max:weights_bytes", "image_to_first_token_ms"])
    (axes,) = sweep_picture(frame, vary, goal).axes
    assert axes.get_xlabel() == "weights, MB  (more is better)"
    assert axes.get_ylabel() == "image to first token, ms  (less is better)"


@pytest.mark.parametrize(
    ("objectives", "constraints"),
    [
        (["image_to_first_token_ms", "cosine"], []),
        (["image_to_first_token_ms", "cosine"], ["cosine>=0.996"]),
        (["image_to_first_token_ms"], ["cosine>=0.99"]),
        (["image_to_first_token_ms", "cosine", "weights_bytes"], []),
    ],
)
def test_the_picture_rings_the_rows_that_the_text_names(frame, objectives, constraints) -> None:
    """Over all chips, under the constraints, and of one objective the best alone."""
    goal = Goal.parse(objectives, constraints)
    figure = sweep_picture(frame, {"variant": ["u8", "u16", "bf16"]}, goal)
    rings = [line for line in figure.axes[0].lines if str(goal) in line.get_label()]
    named = axsim.best(frame, objectives, constraints)
    if len(objectives) == 1:
        named = named.head(1)
    (drawn,) = (sorted(zip(*line.get_data(), strict=True)) for line in rings)
    assert drawn == sorted(zip(named[objectives[0]], named["cosine"], strict=True))


def test_no_two_points_have_the_same_label(frame) -> None:
    """Variants of one name on two chips are told apart as the table does: by the chip too."""
    found = texts(tradeoff(frame))
    labels = [f"{chip} {variant}" for chip, variant, *_ in ROWS if variant in ("u8", "u16")]
    assert {each for each in labels if each in found}
    assert not {"u8", "u16"} & set(found)


def test_a_legend_of_many_groups_lies_in_the_picture(frame) -> None:
    names = [f"a chip with a long name, {size} px" for size in (224, 280, 336, 364, 392, 448)]
    many = pd.concat(frame.head(1).assign(chip=name) for name in names)
    figure = tradeoff(many)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0
    assert box.x1 <= figure.bbox.x1


JUDGED = [("bf16", 9.0, 20.7, 0.991), ("s8", 5.0, 20.8, 0.98), ("s4", 4.0, 31.0, 0.71)]


def judged(**columns) -> pd.DataFrame:
    names = ["variant", "ttft_ms", "perplexity", "top1_agreement"]
    found = pd.DataFrame(JUDGED, columns=names)
    shared = {"chip": "a", "model": "m", "float32_perplexity": 20.5, "judged_tokens": 812}
    return found.assign(**{**shared, "synthetic": False, "error": None, "cosine": 0.99, **columns})


def test_accuracy_is_perplexity_where_a_text_was_read() -> None:
    figure = accuracy_picture(judged())
    (axes,) = figure.axes
    assert axes.get_ylabel() == "perplexity as deployed  (less is better)"
    assert axes.get_xlabel().startswith("TTFT, ms")
    assert fronts(figure) == [[(4.0, 31.0), (5.0, 20.8), (9.0, 20.7)]]
    (level,) = (line for line in axes.lines if line.get_linestyle() == "--")
    assert set(level.get_ydata()) == {20.5}
    assert legend_names(figure) == ["Pareto front", "a", "float32"]
    assert "trained weights, judged on 812 tokens of text" in axes.get_title()
    assert not overlapping(drawn_texts(figure))
    same = sweep_picture(judged(), {"build.weight_dtype": ["bf16", "s8", "s4"]})
    assert same.axes[0].get_ylabel() == axes.get_ylabel()


def test_agreement_is_better_large_and_has_no_level() -> None:
    figure = accuracy_picture(judged(), "top1_agreement")
    assert "(more is better)" in figure.axes[0].get_ylabel()
    assert legend_names(figure) == ["Pareto front", "a"]
    assert fronts(figure) == [[(4.0, 0.71), (5.0, 0.98), (9.0, 0.991)]]


def test_accuracy_is_the_cosine_where_no_text_tells_builds_apart() -> None:
    vision = judged(perplexity=20.5, cosine=[0.99, 0.98, 0.97])
    assert "cosine" in accuracy_picture(vision).axes[0].get_ylabel()
    synthetic = judged(perplexity=None, synthetic=True, judged_tokens=None)
    texts = " ".join(text.get_text() for text in drawn_texts(accuracy_picture(synthetic)))
    assert "synthetic weights" in texts
    assert "judged" not in texts
    assert "perplexity" not in texts
