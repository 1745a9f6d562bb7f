"""Towers of any shape."""

from __future__ import annotations

from axsim.models.config import VisionConfig


def tower(layers: int, hidden: int, heads: int, size: int, wide: float = 2, **more) -> VisionConfig:
    """Patches of 14 pixels, pictures of ``size``, an MLP ``wide`` times as wide as the rest."""
    return VisionConfig(layers, hidden, int(wide * hidden), heads, 14, size, **more)
