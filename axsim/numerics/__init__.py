"""Executing graphs numerically: float32, integer and weight-only arithmetic, and comparing them."""
