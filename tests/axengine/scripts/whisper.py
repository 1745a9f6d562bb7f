"""Speech: the encoder once, then the decoder token by token."""

import sys
import time

import axengine as axe
import numpy as np

folder, mel = sys.argv[1], np.load(sys.argv[2])
encoder = axe.InferenceSession(folder + "/whisper_encoder.axmodel", providers=None)
decoder = axe.InferenceSession(folder + "/whisper_decoder.axmodel", providers=None)
start = time.perf_counter()
keys, values = encoder.run(None, input_feed={"mel": mel})
print(f"encoder took {1000 * (time.perf_counter() - start):.3f} ms")
token, said = 1, []
for _ in range(6):
    feed = {"token": np.array([[token]], np.int32), "keys": keys, "values": values}
    (logits,) = decoder.run(None, feed)
    token = int(logits[0, -1].argmax())
    said.append(token)
    if token == 0:
        break
print("said:", *said)
sys.exit(3)
