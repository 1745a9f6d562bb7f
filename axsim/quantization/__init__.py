"""Storage dtypes, quantisation parameters, integer and bf16 arithmetic, precision analysis."""
