"""Which backend this machine gets."""

from __future__ import annotations

from functools import lru_cache

from axsim.kernels.products import NumpyProducts, Products
from axsim.kernels.twin import compiled


@lru_cache(maxsize=1)
def choose() -> Products:
    """VNNI instructions where the CPU and numba are there, else onnxruntime where it is installed
    and proves exact on this CPU, else numpy."""
    vnni = compiled("axsim.kernels.vectors.vnni")
    if vnni is not None and vnni.supported():
        fastest: Products = vnni.VnniProducts()
        return fastest
    try:
        from axsim.kernels.onnx_products import OnnxProducts

        return OnnxProducts()
    except (ImportError, ArithmeticError):
        return NumpyProducts()
