"""Whisper against Hugging Face transformers: encoder, prefill with cross attention, decoding."""

from math import prod

import numpy as np
import pytest

pytestmark = pytest.mark.oracle
torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from axsim.compiler.partition import Deployment  # noqa: E402
from axsim.models.checkpoint import Checkpoint  # noqa: E402
from axsim.models.hf_config import model_config  # noqa: E402
from axsim.models.prompt import prompt_of  # noqa: E402
from axsim.models.weights import tensor_shapes  # noqa: E402
from axsim.runs.devices import Device  # noqa: E402
from axsim.runs.host import HostLoop  # noqa: E402
from axsim.spec.chip import load_chip  # noqa: E402
from axsim.spec.workload import Workload  # noqa: E402
from axsim.system.request import ride, walk  # noqa: E402
from tests.models.running import relative  # noqa: E402
from tests.models.small import WHISPER  # noqa: E402

TOKENS = [5, 9, 7, 11, 30, 41, 2]
"""Four of a prompt and three that follow."""


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = transformers.WhisperConfig(**{k: v for k, v in WHISPER.items() if k != "model_type"})
    config._attn_implementation = "eager"
    found = transformers.WhisperForConditionalGeneration(config).eval()
    with torch.no_grad():
        for name, parameter in found.named_parameters():
            if "layer_norm" in name and name.endswith("weight"):
                parameter.uniform_(0.5, 1.1)
            elif parameter.ndim == 1:
                parameter.uniform_(-0.2, 0.2)
            else:
                gain = (3 / np.prod(parameter.shape[1:])) ** 0.5
                parameter.uniform_(-gain, gain)
    return found


def test_encoder_prefill_and_decoding(model, tmp_path):
    model.save_pretrained(tmp_path)
    checkpoint = Checkpoint(tmp_path)
    config = checkpoint.config
    assert config == model_config(WHISPER)
    build = {"prefill_chunk": 3, "kv_cache_len": 20}
    request = {"text_tokens": 4, "new_tokens": 4}
    deployment = Deployment(
        Workload.of("w", config, build=build, request=request), load_chip("ax650n")
    )
    codes = np.random.default_rng(0).integers(0, 256, (1, 1, 40, 8), np.uint8)
    features = (codes.astype(np.float64) / 255 - 0.4) / 0.4
    mel = torch.from_numpy(features[0, 0].T.astype(np.float32))[None]
    with torch.no_grad():
        heard = model.model.encoder(mel).last_hidden_state
        expected = model(input_features=mel, decoder_input_ids=torch.tensor([TOKENS])).logits[0]

    device = Device(deployment, checkpoint)
    assert deployment.vision is not None
    seen = device.vision(deployment.vision, codes)
    assert relative(seen[:1], heard.numpy()) < 1e-5

    logits = []
    given = iter([*TOKENS[4:], 0])

    def prompt():
        rows = device.embed(TOKENS[:4])
        return prompt_of(config, rows, np.zeros(4, bool), [seen], 40)

    def choose(found):
        logits.append(found)
        return next(given)

    loop = HostLoop(deployment, device, prompt, choose)
    for _ in ride(walk(deployment, 4), loop.compute):
        pass
    assert relative(np.stack(logits), expected[3:].numpy()) < 1e-5


@pytest.mark.parametrize("size", ["tiny", "small", "large-v3"])
def test_parameters_at_full_size(size):
    """d_model, layers, heads, mel bins, vocabulary of the released models."""
    width, layers, heads, bins, words = {
        "tiny": (384, 4, 6, 80, 51865),
        "small": (768, 12, 12, 80, 51865),
        "large-v3": (1280, 32, 20, 128, 51866),
    }[size]
    keys = {
        "d_model": width, "encoder_layers": layers, "decoder_layers": layers,
        "encoder_attention_heads": heads, "decoder_attention_heads": heads,
        "encoder_ffn_dim": 4 * width, "decoder_ffn_dim": 4 * width, "num_mel_bins": bins,
        "vocab_size": words,
    }  # fmt: skip
    with torch.device("meta"):
        theirs = transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(**keys))
    expected = sum(parameter.numel() for parameter in theirs.parameters())
    shapes = tensor_shapes(model_config({"model_type": "whisper", **keys}))
    assert sum(map(prod, shapes.values())) == expected
