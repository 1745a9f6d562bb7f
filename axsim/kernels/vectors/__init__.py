"""What is written for vectors of x86 CPUs (AVX2 with FMA, or AVX-512), through numba and LLVM.

:mod:`~axsim.kernels.vectors.tiles` builds the innermost loop, and
:mod:`~axsim.kernels.vectors.multiply` the product around it. Three things stand on them: products
of codes as a backend of :mod:`axsim.kernels.products` (:mod:`~axsim.kernels.vectors.integers`), and
in float32 attention (:mod:`~axsim.kernels.vectors.heads`) and convolutions
(:mod:`~axsim.kernels.vectors.conv`; with fewer products for windows of three by three in
:mod:`~axsim.kernels.vectors.winograd`). Where a loop is shared between threads it is a
:class:`~axsim.kernels.vectors.team.Task`: those of float32 are in
:mod:`~axsim.kernels.vectors.float_tasks`, those of codes in
:mod:`~axsim.kernels.vectors.code_tasks`.

Without all of this every number is the same, or, where
float32 is summed, as near.
"""
