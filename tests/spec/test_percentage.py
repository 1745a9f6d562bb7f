"""Percentages mean the same wherever they are given."""

from __future__ import annotations

import pytest

from axsim import InputError
from axsim.spec.percentage import percent_text, percentage


@pytest.mark.parametrize(
    ("given", "fraction"),
    [("2%", 0.02), ("2", 0.02), (2, 0.02), (2.5, 0.025), (" 0 ", 0.0), ("0.02", 0.0002)],
)
def test_a_percentage_with_or_without_the_sign_and_never_a_fraction(given, fraction) -> None:
    assert percentage(given, "--tolerance") == pytest.approx(fraction)


@pytest.mark.parametrize("given", ["", "x", "-1%", "2%%", "nan", "inf", -1, float("nan"), True])
def test_what_is_no_percentage(given) -> None:
    with pytest.raises(InputError, match=r"--tolerance.*such as 2%"):
        percentage(given, "--tolerance")


def test_as_text() -> None:
    assert percent_text(percentage("2.5", "x")) == "2.5%"
