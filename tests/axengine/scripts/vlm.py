"""A picture and a prompt: the vision part's rows take their place among the embedded tokens."""

import argparse
import glob

import axengine as axe
import numpy as np
from llm import LLM

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])

parser = argparse.ArgumentParser()
parser.add_argument("--axmodel_path", required=True)
parser.add_argument("--request", required=True)
parser.add_argument("--new_tokens", type=int, default=5)
args = parser.parse_args()

request = np.load(args.request)
vision = axe.InferenceSession(
    glob.glob(f"{args.axmodel_path}/*_vision_part_*.axmodel")[0],
    providers=["AXCLRTExecutionProvider", "AxEngineExecutionProvider"],
)
pixels = (request["picture"] / 255.0 - MEAN) / STD
pixels = pixels.transpose(0, 3, 1, 2).astype(np.float32)
features = vision.run(None, {vision.get_inputs()[0].name: pixels})[0]
print("vit_output.shape is", features.shape)

llm = LLM(args.axmodel_path, "qwen2", 40)
prompt = llm.embeds[request["tokens"]].copy()
prompt[request["image_rows"]] = features[0]
print("tokens:", *llm.generate(prompt, args.new_tokens))
