"""docs/support.md says what the ledger, the errors of rows left out and the tables say."""

from __future__ import annotations

from axsim.fidelity.left_out import shipped_left_out
from axsim.models.families import FAMILIES
from axsim.models.hf_config import REFUSED
from axsim.network.refusals import ADVICE
from axsim.spec.descriptor import shipped
from tests.record_support import FILE, page


def test_the_page_is_what_the_script_writes() -> None:
    assert FILE.read_text(encoding="utf-8") == page(), "python tests/record_support.py"


def test_every_row_chip_family_and_refusal_is_on_it() -> None:
    text = page()
    counted = sum(int(part.split()[0]) for part in text.split("| **")[1:])
    rows = [row for row in shipped_left_out() if row.group not in ("compiler", "graph")]
    assert counted == len(rows)
    for name in (*shipped("chip"), *FAMILIES, *REFUSED, *ADVICE):
        assert name in text
