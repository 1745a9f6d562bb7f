"""InternVL2-1B at its full size on synthetic weights."""

import subprocess
import sys

import numpy as np
import pytest

from axsim.models.decoder import decoder_layer_graph, post_graph
from axsim.models.synthetic import SyntheticWeights
from axsim.models.vision import vision_graph
from axsim.models.weights import EMBED_TOKENS, layer_weights, post_weights, vision_weights
from axsim.numerics.executor import Executor
from tests.models.internvl2 import DECODER, MODEL, PROJECTOR, VISION
from tests.models.seeded import image


def test_graphs_are_built_without_numpy():
    """Timing-only runs build graphs and must start at once."""
    code = (
        "import sys; from axsim.models.vision import vision_graph;"
        "from axsim.models.decoder import decoder_layer_graph, post_graph;"
        "from tests.models.internvl2 import *;"
        "vision_graph(VISION, 448, PROJECTOR); decoder_layer_graph(DECODER, 128, 128);"
        "post_graph(DECODER); sys.exit('numpy' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_activations_stay_sane_through_all_layers():
    """Neither vanishing nor exploding, with a few outlier channels after the norms."""
    weights = SyntheticWeights(MODEL, 0)
    graph = vision_graph(VISION, 224, PROJECTOR)
    residuals = [f"layers.{i}.mlp.residual" for i in range(24)]
    norms = [f"layers.{i}.norm2" for i in (0, 23)]
    executor = Executor(graph, vision_weights(weights, VISION, 224), keep=[*residuals, *norms])
    features = executor.run_all({"input": image(224)})["output"]
    deviations = [float(executor.fetch(name).std()) for name in residuals]
    assert all(0.2 < d < 2 for d in deviations)
    assert deviations[0] < deviations[-1] < 2 * deviations[0]
    assert 0.2 < features.std() < 2
    for name in norms:
        channels = np.abs(executor.fetch(name)).max(axis=0)
        assert 1 <= (channels > 3 * np.median(channels)).sum() <= 8

    graph = decoder_layer_graph(DECODER, 128, 0)
    x = np.concatenate([weights.rows(EMBED_TOKENS, range(64))[None], features], axis=1)
    inputs = {
        "K_cache": np.zeros((1, 1, 896), np.float32),
        "V_cache": np.zeros((1, 1, 896), np.float32),
        "indices": np.arange(128, dtype=np.uint32)[None],
        "mask": np.where(np.tri(128, dtype=bool), np.float32(0), np.float32(-65536))[None],
    }
    for i in range(24):
        x = Executor(graph, layer_weights(weights, i)).run_all({**inputs, "input": x})["output"]
        assert 0.2 < x.std() < 5
    post = Executor(post_graph(DECODER), post_weights(weights, DECODER))
    logits = post.run_all({"input": x[:, -1:]})["output"]
    assert 0.2 < logits.std() < 5
