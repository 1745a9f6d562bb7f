"""Engines and DRAM, event by event: executes programs, knows no model."""
