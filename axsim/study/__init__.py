"""Many runs: sweeps, searches, comparisons, pinned timings, explanations."""
