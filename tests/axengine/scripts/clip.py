"""Which of some texts fits a picture: two encoders and a softmax."""

import sys

import axengine
import numpy as np


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


folder, request = sys.argv[1], np.load(sys.argv[2])
with axengine.InferenceSession(f"{folder}/clip_image.axmodel") as image_session:
    seen = unit(image_session.run(["features"], {"image": request["image"]})[0])
text_session = axengine.InferenceSession(f"{folder}/clip_text.axmodel")
read = []
for text in request["texts"]:
    feed = {text_session.get_inputs()[0].name: text[None].astype(np.int32)}
    read.append(unit(text_session.run(None, feed)[0]))
scores = np.concatenate(read) @ seen[0]
np.save(sys.argv[3], scores)
print("best:", int(scores.argmax()))
