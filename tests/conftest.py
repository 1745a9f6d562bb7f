"""What all tests share."""

from __future__ import annotations

import gc

from hypothesis import settings

# How long an example takes says something of the machine and its other guests, nothing of the code.
settings.register_profile("axsim", deadline=None)
settings.load_profile("axsim")


def pytest_collection_finish() -> None:
    """Modules and tests live until the end: looking for cycles among them and after every 700
    objects more, takes a tenth of the time. Thresholds are those of the command."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
