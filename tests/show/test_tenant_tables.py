"""The tables of a scenario."""

from __future__ import annotations

import pytest

from axsim.show.tenant_tables import rate, requests_table
from tests.system.shared import run, scenario, tiny


@pytest.mark.parametrize(
    ("per_s", "shown"),
    [(0.0, "0"), (1 / 3600, "0.00028"), (0.0166, "0.017"), (0.25, "0.250"), (29.97, "29.97")],
)
def test_a_rare_request_is_not_none(per_s, shown) -> None:
    assert rate(per_s) == shown


def test_the_rate_of_what_was_answered_once_is_told(tmp_path) -> None:
    found = run(scenario(tmp_path, s=3600.0, one=tiny({"fps": 1 / 4000})))
    cells = {each.header: next(iter(each.cells)) for each in requests_table(found).columns}
    assert (cells["answered"], cells["per s"]) == ("1", "0.00028")
