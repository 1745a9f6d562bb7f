"""What all tests share."""

from __future__ import annotations

from hypothesis import settings

# How long an example takes says something of the machine and its other guests, nothing of the code.
settings.register_profile("axsim", deadline=None)
settings.load_profile("axsim")
