"""Numeric kernels: exact integer products, passes over codes, float32 functions."""
