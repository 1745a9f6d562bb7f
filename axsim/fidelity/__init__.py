"""The ledger of published measurements: predict its rows, validate, calibrate."""
