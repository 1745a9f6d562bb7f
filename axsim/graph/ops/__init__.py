"""One file for each operator, named as in the ONNX specification; importing fills OPERATORS."""

from axsim.graph.ops import (  # noqa: F401
    add,
    cast,
    concat,
    conv,
    div,
    gather,
    gelu,
    gemm,
    layernormalization,
    matmul,
    mul,
    reshape,
    rmsnormalization,
    rotaryembedding,
    slice,
    softmax,
    split,
    sub,
    swish,
    transpose,
)
