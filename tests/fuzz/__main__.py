"""``python -m tests.fuzz``: the whole, from the command line.

Prints what went wrong, then inputs, faults and seconds of each kind; what went wrong is kept in
a folder, from where it can be moved to the corpus. Exit status 1 when anything did.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from pathlib import Path

from tests.fuzz.campaign import campaign, paced
from tests.fuzz.kinds import KINDS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000, help="of all kinds together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kind", action="append", choices=list(KINDS))
    parser.add_argument("--share", type=float, default=1.0, help="of one core, at most")
    parser.add_argument("--keep", type=Path, help="folder for what goes wrong")
    given = parser.parse_args()
    chosen = [KINDS[name] for name in given.kind or KINDS]
    total = sum(kind.weight for kind in chosen)
    wrong = 0
    for kind in chosen:
        count = max(1, round(given.inputs * kind.weight / total))
        codes: Counter[int] = Counter()
        slowest = [0.0]
        pace = paced(given.share)

        def after(found, codes=codes, slowest=slowest, pace=pace):
            codes[found.code] += 1
            slowest[0] = max(slowest[0], found.seconds)
            pace(found)

        start, faults = time.process_time(), Counter()
        for failure in campaign(kind, given.seed, count, after=after, keep=given.keep):
            for fault in failure.faults:
                same = re.sub(r"\d+(\.\d+)?", "N", fault)[:90]
                faults[same] += 1
                if faults[same] <= 2:
                    print(failure, flush=True)
        wrong += sum(faults.values())
        spent = time.process_time() - start
        exits = ", ".join(f"{n} with {code}" for code, n in sorted(codes.items()))
        print(
            f"{kind.name}: {count} inputs ({exits}), {sum(faults.values())} faults, "
            f"{spent:.0f} s, slowest {slowest[0]:.1f} s",
            flush=True,
        )
        for fault, times in faults.most_common():
            print(f"  {times} × {fault}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
