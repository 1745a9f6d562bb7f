"""Which backend this machine gets."""

from __future__ import annotations

from functools import lru_cache

from axsim.kernels.products import NumpyProducts, Products
from axsim.kernels.twin import compiled


@lru_cache(maxsize=2)
def choose(*, windows: bool = False) -> Products:
    """VNNI instructions where the CPU and numba are there, else onnxruntime where it is installed
    and proves exact on this CPU, else numpy.

    For ``windows`` of images other vectors come before onnxruntime, which has to be given patches;
    they hold a weight in twice the bytes and are no faster otherwise.
    """
    vectors = compiled("axsim.kernels.vectors.integers")
    if vectors is not None and vectors.supported(windows):
        fastest: Products = vectors.VectorProducts()
        return fastest
    try:
        from axsim.kernels.onnx_products import OnnxProducts

        return OnnxProducts()
    except (ImportError, ArithmeticError):
        return NumpyProducts()
