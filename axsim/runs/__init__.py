"""One run: every variant of a workload on a chip, timed and computed, and its results."""
