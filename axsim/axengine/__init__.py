"""A stand-in for the vendor's Python runtime: scripts written for ``axengine`` run on the simulated
chip.

>>> import axsim.axengine
>>> board = axsim.axengine.install(chip="ax650n")
>>> import axengine
>>> session = axengine.InferenceSession("detector.axmodel")

``axsim exec script.py`` does the same and then runs the script. Sessions compute what the chip
would, and a clock advances by the time that it would take; ``board.usage`` tells it by session and
shape group.
"""

from __future__ import annotations

from axsim.axengine.install import install
from axsim.axengine.nodes import NodeArg
from axsim.axengine.providers import (
    axclrt_provider_name,
    axengine_provider_name,
    get_all_providers,
    get_available_providers,
)
from axsim.axengine.session import InferenceSession, SessionOptions
from axsim.axengine.stand_in import StandIn

__all__ = [
    "InferenceSession",
    "NodeArg",
    "SessionOptions",
    "StandIn",
    "axclrt_provider_name",
    "axengine_provider_name",
    "get_all_providers",
    "get_available_providers",
    "install",
]
