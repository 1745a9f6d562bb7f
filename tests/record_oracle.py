"""Record small outputs of Hugging Face transformers for the tests that run without torch.

    python -m tests.record_oracle

writes tests/recorded/transformers.npz: float32 outputs of the models in tests/models/seeded.py.
"""

from pathlib import Path

import numpy as np

from axsim.models.config import ModelConfig
from tests.models.seeded import DECODERS, INTERNVL, SeededWeights, embeddings, image

RECORDED = Path(__file__).parent / "recorded" / "transformers.npz"


def main() -> None:
    import torch
    import transformers

    from tests.models import hf

    torch.set_num_threads(1)
    model = hf.internvl(INTERNVL, SeededWeights(INTERNVL))
    arrays = {f"tower_{s}": hf.tower_output(model, image(s)) for s in (56, 84, 112)}
    arrays |= {f"features_{s}": hf.image_features(model, image(s)) for s in (56, 84, 112)}
    for family, cfg in DECODERS.items():
        model = hf.decoder(cfg, SeededWeights(ModelConfig(cfg)))
        arrays[f"logits_{family}"] = hf.decoder_logits(model, embeddings(30, cfg.hidden_size))
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    RECORDED.parent.mkdir(exist_ok=True)
    np.savez_compressed(RECORDED, versions=np.array(versions), **arrays)
    print(f"{RECORDED}: {RECORDED.stat().st_size} bytes, {versions}")


if __name__ == "__main__":
    main()
