"""The fence around speed: numpy says what is computed, and may be all there is.

**Definitions and twins.** Every pass over numbers is a function of numpy: on codes
(:mod:`~axsim.kernels.codes`), on bf16 numbers (:mod:`~axsim.kernels.bf16`), in float32
(:mod:`~axsim.kernels.gates`, :mod:`~axsim.kernels.rowwise`, :mod:`~axsim.kernels.attention`). Where
numba is installed, the function of the same name in the module with ``_numba`` does the work
(:mod:`~axsim.kernels.twin`), with the same bits on codes and up to rounding in float32.

**Products.** One contract (:mod:`~axsim.kernels.products`), three backends, which
:func:`~axsim.kernels.choose.choose` picks from: ``Products.pack(codes, zero)`` makes a right
operand ready, ``Packed.into(a, finish, out)`` multiplies and finishes. What a finish computes
stands in :mod:`~axsim.kernels.finish`.

**One Gemm with U8 activations**, from the graph to the last byte:

1. :mod:`axsim.numerics.integer_graph` makes it a step: it knows the scale and the zero point of
   input and output, and packs the weight once, as S8 codes with a scale for each row.
2. :func:`axsim.numerics.integer_kernels.gemm` writes down the finish: a
   :class:`~axsim.kernels.finish.Requantise` whose ``shift`` is the bias less what the input's zero
   point takes from every column, and whose ``multiplier`` goes from one unit to the other. It cuts
   the rows into blocks for the threads (:mod:`~axsim.kernels.parallel`).
3. ``Packed.into`` takes a block. U8 codes go on as they are, U16 ones as rows of high and rows of
   low bytes.
4. The backend sums products of bytes exactly, in S32. numpy's and onnxruntime's write all sums of
   the block, and :func:`~axsim.kernels.finish.finished` makes codes of them; in
   :mod:`axsim.kernels.vectors.integers` strips of sums that fit the cache are finished one by one.
5. Finishing adds the shift, multiplies in float32, rounds half to even, adds the zero point and
   saturates. That, to the bit, is what :mod:`~axsim.kernels.arithmetic` says of every operator.

The same way go U16 codes (sums over high and low bytes are put together before they are rounded),
products of two activations (packed anew for each head, the right zero point taken off by the
backend) and the decoder's projections, whose numbers become whole ones of three bytes
(:mod:`axsim.numerics.fixed_point`, :class:`~axsim.kernels.finish.FromFixedPoint`).

**Convolutions** of images whose channels lie together multiply windows where they lie
(:mod:`~axsim.kernels.pixels` in float32, :mod:`axsim.numerics.integer_conv` of codes); those of
three by three taps and stride 1 may go by squares of results (:mod:`~axsim.kernels.squares`), which
takes 4 products for each in place of 9. Others multiply patches
(:mod:`~axsim.kernels.convolution`, :mod:`~axsim.kernels.conv_codes`).

What is written for one instruction set lives in :mod:`axsim.kernels.vectors` alone.
"""
