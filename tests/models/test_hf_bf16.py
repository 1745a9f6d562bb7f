"""bf16 numerics against Hugging Face transformers on small models.

Whole models are further from transformers' own bf16 than the bound, which that is as well from its
float32: it rounds inside operators, errors grow over the layers, and where sums cancel, units in
the last place are small. So operators are compared with transformers in bf16, each on the same
inputs; layers with those of transformers whose operators round once (hf_rounded.py).
"""

from dataclasses import replace

import numpy as np
import pytest

from axsim.graph.builder import GraphBuilder
from axsim.kernels.arithmetic import round_bf16
from axsim.models.config import ModelConfig
from tests.models.running import Loop, execute, run_vision
from tests.models.seeded import DECODERS, INTERNVL, SeededWeights, embeddings, image

pytestmark = pytest.mark.oracle
hf = pytest.importorskip("tests.models.hf", exc_type=ImportError)

PLACES, SHARE = 2, 0.999


def places(found, expected, of_tensor=False):
    """Difference in units of the last place of the expected value; ``of_tensor``: or of the
    tensor's RMS, where that is more: a rounding that falls the other way early in a layer moves
    much of what follows by part of such a unit, and small elements by several of their own."""
    size = np.abs(expected)
    if of_tensor:
        size = np.maximum(size, np.sqrt(np.square(expected).mean()))
    _, exponent = np.frexp(size)
    return np.abs(found - expected) / np.exp2(exponent - 8.0)


def assert_near(found, expected, of_tensor=False):
    assert found.shape == expected.shape
    assert np.mean(places(found, expected, of_tensor) <= PLACES) >= SHARE


@pytest.fixture(params=DECODERS)
def family(request):
    cfg = DECODERS[request.param]
    return cfg, SeededWeights(ModelConfig(cfg))


def operator(op, x, weights, **attrs):
    """One operator in bf16."""
    b = GraphBuilder("operator")
    names = [b.weight(str(i), w.shape) for i, w in enumerate(weights)]
    graph = b.build([b.node(op, [b.input("x", x.shape), *names], name="y", **attrs)])
    return execute(graph, lambda name: weights[int(name)], {"x": x}, bf16=True)["y"]


def modules(model, cfg):
    """transformers' modules that are operators of axsim: kind, and how axsim is asked for it.

    Not its tanh-GELU: that is eight operators there, each of which rounds.
    """
    norm = {"axis": -1, "epsilon": cfg.rms_norm_eps}
    known = {
        "Linear": ("Gemm", {"transB": 1}),
        "LayerNorm": ("LayerNormalization", norm),
        "RMSNorm": ("RMSNormalization", norm),
        "SiLUActivation": ("Swish", {}),
    }
    for module in model.modules():
        for end, asked in known.items():
            if type(module).__name__.endswith(end):
                yield end, module, *asked


def test_operators_on_the_same_inputs(family):
    import torch

    cfg, weights = family
    model = hf.decoder(cfg, weights).to(torch.bfloat16)
    calls = []
    for kind, module, op, attrs in modules(model, cfg):
        module.register_forward_hook(_recorder(calls, kind, op, attrs))
    x = round_bf16(embeddings(64, cfg.hidden_size))
    with torch.no_grad():
        model(inputs_embeds=torch.from_numpy(x)[None].to(torch.bfloat16))
    found, expected = {}, {}
    for kind, op, attrs, module, taken, made in calls:
        parameters = [p.detach().float().numpy() for p in module.parameters()]
        rows = taken.float().numpy().reshape(-1, taken.shape[-1])
        found.setdefault(kind, []).append(operator(op, rows, parameters, **attrs).ravel())
        expected.setdefault(kind, []).append(made.float().numpy().ravel())
    assert len(found) >= 2
    for kind in found:
        assert_near(np.concatenate(found[kind]), np.concatenate(expected[kind]))


def _recorder(calls, kind, op, attrs):
    return lambda module, args, out: calls.append((kind, op, attrs, module, args[0], out))


def in_chunks(loop, x):
    """Three chunks of prefill, then decode."""
    parts = [loop.prefill(x[i : i + 8]) for i in range(0, 24, 8)]
    parts += [loop.decode(x[i : i + 1]) for i in range(24, len(x))]
    return np.concatenate(parts)


class Layers:
    """What goes into each layer of a model, and what comes out."""

    def __init__(self, layers) -> None:
        self._seen: list[tuple] = []
        for layer in layers:
            layer.register_forward_hook(self._record, with_kwargs=True)

    def _record(self, layer, args, options, out) -> None:
        taken = args[0] if args else options["hidden_states"]
        self._seen.append((taken, out[0] if isinstance(out, tuple) else out))

    def __iter__(self):
        for taken, made in self._seen:  # read late: sums are rounded where they are read next
            yield taken[0].numpy(), made[0].numpy()


@pytest.mark.parametrize("feed", [Loop.prefill, in_chunks], ids=["whole", "chunks-and-decode"])
def test_decoder_layers(family, feed):
    from tests.models.hf_rounded import rounded

    cfg, weights = family
    model = rounded(hf.decoder(cfg, weights))
    layers = Layers(model.model.layers)
    logits = hf.decoder_logits(model, round_bf16(embeddings(30, cfg.hidden_size)))
    single = replace(cfg, num_hidden_layers=1)
    for index, (taken, made) in enumerate(layers):

        def of_layer(name, index=index):
            return weights(name.replace("layers.0.", f"layers.{index}."))

        assert_near(feed(Loop(of_layer, single, 40, bf16=True), taken), made, of_tensor=True)
    assert index == cfg.num_hidden_layers - 1
    assert_near(Loop(weights, cfg, 40, bf16=True).logits(made), logits)


@pytest.mark.parametrize("size", [112, 84, 56])
def test_tower_and_projector(size):
    """A tower of one layer, so that a rounding that falls the other way does not grow."""
    from tests.models.hf_rounded import pixels, rounded

    model = replace(INTERNVL, vision=replace(INTERNVL.vision, num_hidden_layers=1))
    weights = SeededWeights(model)
    expected = hf.image_features(rounded(hf.internvl(model, weights)), image(size), pixels)
    found = run_vision(weights, model, image(size), bf16=True)
    assert_near(found, expected, of_tensor=True)


def test_no_further_from_float32_than_transformers_in_bf16(family):
    import torch

    cfg, weights = family
    x = round_bf16(embeddings(64, cfg.hidden_size))
    model = hf.decoder(cfg, weights)
    exact = hf.decoder_logits(model, x)
    with torch.no_grad():
        theirs = model.to(torch.bfloat16)(inputs_embeds=torch.from_numpy(x)[None].bfloat16())
    loop = Loop(weights, cfg, 80, bf16=True)
    ours = loop.logits(loop.prefill(x))
    errors = [np.square(y - exact).mean() for y in (ours, theirs.logits[0].float().numpy())]
    assert errors[0] <= 1.05 * errors[1]
