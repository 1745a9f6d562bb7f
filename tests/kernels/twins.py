"""Kernels as numpy defines them and as numba compiles them."""

import pytest

from axsim.kernels import twin


@pytest.fixture(params=["plain", "compiled"])
def kind(request, monkeypatch):
    """Kernels without and with numba."""
    if request.param == "plain":
        monkeypatch.setattr(twin, "compiled", lambda module: None)
    else:
        pytest.importorskip("numba")


def both(function):
    """The definition and, where numba is, its compiled twin."""
    return [function.__wrapped__, function]
