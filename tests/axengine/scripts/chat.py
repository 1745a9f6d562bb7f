"""A question in words: tokenizer and sizes from Hugging Face's files beside the model's."""

import argparse

from llm import LLM
from tqdm import tqdm
from transformers import AutoConfig, AutoTokenizer

parser = argparse.ArgumentParser()
parser.add_argument("--hf_model", required=True)
parser.add_argument("--axmodel_path", required=True)
parser.add_argument("-q", "--question", required=True)
args = parser.parse_args()

cfg = AutoConfig.from_pretrained(args.hf_model, trust_remote_code=True)
tokenizer = AutoTokenizer.from_pretrained(args.hf_model, trust_remote_code=True)
llm = LLM(args.axmodel_path, "qwen2", 127)
for layer in tqdm(range(cfg.num_hidden_layers), desc="Layers"):
    assert llm.layers[layer].get_inputs()[3].shape[-1] == cfg.hidden_size
token_ids = tokenizer.encode(args.question)
tokens = llm.generate(llm.embeds[token_ids], 12)
print("tokens:", *tokens)
print("answer:", tokenizer.decode(tokens))
