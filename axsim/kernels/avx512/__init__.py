"""What is written for one instruction set: 512-bit vectors of x86 CPUs, through numba and LLVM.

:mod:`~axsim.kernels.avx512.tiles` builds the innermost loop, :mod:`~axsim.kernels.avx512.panels`
the product around it. Two things stand on them: byte products as a backend of
:mod:`axsim.kernels.products` (:mod:`~axsim.kernels.avx512.vnni`), and attention in float32
(:mod:`~axsim.kernels.avx512.heads`). Without all of this every number is the same, or, where
float32 is summed, as near.
"""
