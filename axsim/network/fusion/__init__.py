"""Passes that make one operator of several, as the vendor's compiler does before it lowers."""

from __future__ import annotations

from axsim.network.fusion.activations import activations
from axsim.network.fusion.affine import affine
from axsim.network.fusion.edit import Edit
from axsim.network.fusion.erf_gelu import gelu
from axsim.network.fusion.layer_norm import layer_norm
from axsim.network.fusion.projections import projections, vectors
from axsim.network.network import Network

PASSES = (affine, activations, gelu, layer_norm, vectors, projections, affine)
"""In order: what is folded into a convolution first may uncover an activation, and so on."""


def fused(network: Network) -> Network:
    """``network`` with every pass applied; its outputs stay the same up to rounding."""
    for fuse in PASSES:
        edit = Edit(network)
        fuse(edit)
        network = edit.network()
    return network
