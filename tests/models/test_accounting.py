"""MACs, parameters and shapes against the published figures of InternVL2-1B."""

from dataclasses import replace
from math import prod

import pytest

from axsim.graph.ir import Graph
from axsim.graph.ops import OPERATORS
from axsim.models.decoder import decoder_layer_graph, post_graph
from axsim.models.vision import vision_graph
from axsim.models.weights import tensor_shapes
from tests.models.internvl2 import DECODER, MODEL, PROJECTOR, VISION


def parameters(graph: Graph) -> int:
    return sum(t.elements for t in graph.weights())


def macs(graph: Graph) -> int:
    return sum(
        OPERATORS[n.op].work(graph.shapes(n.inputs), graph.shapes(n.outputs), n.attrs).macs
        for n in graph.nodes
    )


@pytest.mark.parametrize(
    ("size", "mmacs", "tokens"), [(224, 81_298.2, 64), (364, 228_137.9, 169), (448, 362_941.6, 256)]
)
def test_vision_macs_and_tokens(size, mmacs, tokens):
    graph = vision_graph(VISION, size, PROJECTOR)
    assert macs(graph) / 1e6 == pytest.approx(mmacs, abs=0.05)
    assert graph.shapes(graph.outputs) == [(1, tokens, 896)]
    assert graph.tensors["input"].shape == (1, size, size, 3)
    assert graph.tensors["input"].dtype == "u8"


@pytest.mark.parametrize(("size", "published_gops"), [(224, 162), (448, 724)])
def test_published_tower_gops(size, published_gops):
    gops = 2 * macs(vision_graph(VISION, size)) / 1e9
    assert gops == pytest.approx(published_gops, rel=0.01)


@pytest.mark.parametrize(
    ("new", "cached", "mmacs"),
    [
        (128, 0, 1_937.77),
        (128, 128, 1_967.13),
        (128, 256, 1_996.49),
        (128, 384, 2_025.85),
        (320, 0, 4_954.52),
        (1, 1023, 16.74),
    ],
)
def test_decoder_layer_macs(new, cached, mmacs):
    graph = decoder_layer_graph(DECODER, new, cached)
    assert macs(graph) / 1e6 == pytest.approx(mmacs, abs=0.005)
    # The closed form: projections, and 2 * 14 heads * 64 channels for each pair of tokens.
    assert macs(graph) == 14_909_440 * new + 1_792 * new * (cached + new)


@pytest.mark.parametrize(("new", "cached"), [(1, 1023), (128, 0), (128, 256)])
def test_decoder_layer_interface(new, cached):
    graph = decoder_layer_graph(DECODER, new, cached)
    assert graph.inputs == ("K_cache", "V_cache", "indices", "input", "mask")
    assert graph.outputs == ("K_cache_out", "V_cache_out", "output")
    cache = (1, cached, 128) if cached else (1, 1, 896)
    assert graph.shapes(graph.inputs) == [
        cache,
        cache,
        (1, new),
        (1, new, 896),
        (1, new, cached + new),
    ]
    assert graph.shapes(graph.outputs) == [(1, new, 128), (1, new, 128), (1, new, 896)]
    assert graph.tensors["indices"].dtype == "u32"


def test_parameters():
    shapes = tensor_shapes(MODEL)
    assert len(shapes) == 637
    assert sum(map(prod, shapes.values())) == 938_158_976
    vision = sum(prod(s) for n, s in shapes.items() if n.startswith("vision_model."))
    assert vision == 304_012_288
    assert sum(prod(s) for n, s in shapes.items() if n.startswith("mlp1.")) == 4_482_816
    assert parameters(decoder_layer_graph(DECODER, 128, 128)) == 14_912_384
    assert parameters(post_graph(DECODER)) == 135_883_776
    assert parameters(vision_graph(VISION, 448, PROJECTOR)) == 308_495_104


def test_post_macs():
    assert macs(post_graph(DECODER)) == 896 * 151_655


def test_graph_is_well_formed():
    for graph in (
        vision_graph(VISION, 224, PROJECTOR),
        decoder_layer_graph(DECODER, 128, 128),
        post_graph(DECODER),
    ):
        made = {n for n, t in graph.tensors.items() if t.kind in ("input", "weight", "constant")}
        for node in graph.nodes:
            assert made.issuperset(node.inputs), node.name
            made.update(node.outputs)
        assert made == set(graph.tensors)
        assert set(graph.values) == {n for n, t in graph.tensors.items() if t.kind == "constant"}


@pytest.mark.parametrize("size", [0, 13, 14 * 15])
def test_impossible_image_sizes(size):
    with pytest.raises(ValueError, match=r"multiple|patches"):
        vision_graph(VISION, size, PROJECTOR)


def test_pixels_that_fill_no_patch_are_dropped():
    """As a convolution with stride and window of a patch drops them: 384 pixels are 27 patches."""
    siglip = replace(VISION, image_size=384, class_token=False)
    graph = vision_graph(siglip, 384)
    assert graph.tensors["input"].shape == (1, 384, 384, 3)
    assert graph.shapes(graph.outputs) == [(1, 27 * 27, 1024)]


def test_pictures_need_not_be_square():
    graph = vision_graph(VISION, (224, 448), PROJECTOR)
    assert graph.tensors["input"].shape == (1, 224, 448, 3)
    assert graph.shapes(graph.outputs) == [(1, 8 * 16, 896)]
