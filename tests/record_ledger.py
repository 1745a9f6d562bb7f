"""Write what follows from the predictions of the shipped ledger's rows:

* tests/recorded/ledger.json, the predictions that tests/fidelity/test_ledger_predictions.py pins,
* measurements/intervals.json, the intervals that ``axsim run`` shows.

python tests/record_ledger.py
"""

from __future__ import annotations

import json
from pathlib import Path

from axsim.fidelity.intervals import document
from axsim.fidelity.validate import validate
from axsim.spec.descriptor import data_folder

PREDICTIONS = Path(__file__).parent / "recorded" / "ledger.json"
INTERVALS = data_folder("measurements") / "intervals.json"


def main() -> None:
    """Predict the ledger and write both files."""
    found = validate()
    predictions = {each.row.id: float(f"{each.predicted:.6g}") for each in found.compared}
    for path, content in ((PREDICTIONS, predictions), (INTERVALS, document(found))):
        path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
