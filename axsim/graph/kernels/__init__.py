"""Numeric kernels with more to them than one numpy expression."""
