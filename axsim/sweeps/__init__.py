"""Many runs: grids of settings, computed in parallel, kept in a journal as they finish."""
