from __future__ import annotations

from statistics import median

import pytest

from axsim import InputError
from axsim.fidelity.validate import Validation, validate
from axsim.show.plots import predicted_measured, residuals
from tests.show.plots.reading import drawn_texts, overlapping, smallest_text


@pytest.fixture(scope="module")
def found() -> Validation:
    return validate(chip="ax630c")


def points(axes) -> list[tuple[float, float]]:
    return [
        (float(x), float(y))
        for line in axes.lines
        if line.get_linestyle() == "None"
        for x, y in zip(*line.get_data(), strict=True)
    ]


def test_every_row_is_a_point(found) -> None:
    scatter, errors = predicted_measured(found).axes
    scale = [1e6 if each.row.metric == "compiler_cycles" else 1 for each in found.compared]
    rows = list(zip(found.compared, scale, strict=True))
    assert points(scatter) == [(c.row.value / s, c.predicted / s) for c, s in rows]
    assert points(errors) == [(c.row.value / s, 100 * c.error) for c, s in rows]
    assert scatter.get_ylabel() == "predicted"
    assert errors.get_ylabel() == "error, %"
    assert f"MAPE {found.overall.mape:.1%}" in scatter.get_title()


def test_residuals_are_the_errors_and_their_medians(found) -> None:
    figure = residuals(found)
    (axes,) = figure.axes
    names = [each.get_text() for each in axes.get_yticklabels()]
    assert len(names) == len(found.groups)
    for row, group in enumerate(found.groups):
        (line,) = [
            each for each in axes.lines if each.get_label() == f"{group.metric} {group.chip}"
        ]
        assert sorted(line.get_xdata()) == sorted(100 * each.error for each in group.rows)
        assert all(row - 0.5 < y < row + 0.5 for y in line.get_ydata())
        assert f"({len(group.rows)})" in names[row]
        middle = 100 * median(each.error for each in group.rows)
        assert any(list(each.get_xdata()) == [middle] * 2 for each in axes.lines)
    assert axes.get_xlabel() == "predicted / measured − 1, %"
    assert smallest_text(figure) >= 8
    assert overlapping(drawn_texts(figure)) == []


def test_nothing_to_draw() -> None:
    for draw in (predicted_measured, residuals):
        with pytest.raises(InputError, match="nothing to draw"):
            draw(Validation(()))
