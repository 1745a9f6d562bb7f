"""Engines and DRAM as SimPy processes: executes programs, knows no model."""
