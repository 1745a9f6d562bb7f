"""Write tests/recorded/ledger.json, the predictions of the shipped ledger's rows, which
tests/fidelity/test_ledger_predictions.py pins.

python tests/record_ledger.py
"""

from __future__ import annotations

import json
from pathlib import Path

from axsim.fidelity.validate import validate

PREDICTIONS = Path(__file__).parent / "recorded" / "ledger.json"


def main() -> None:
    """Predict the ledger and write the file."""
    predictions = {each.row.id: float(f"{each.predicted:.6g}") for each in validate().compared}
    PREDICTIONS.write_text(json.dumps(predictions, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
