"""Detection: a picture in bytes, a grid of boxes, and no overlaps."""

import argparse

import numpy as np
from axengine import InferenceSession, get_available_providers


def overlap(a, b):
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[2:], b[2:])
    inside = np.prod(np.clip(high - low, 0, None))
    return inside / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - inside)


def detect(output, limit):
    scores = 1 / (1 + np.exp(-output[:, 4:]))
    scores = scores[:, :1] * scores[:, 1:]
    cells = np.stack(np.meshgrid(np.arange(8), np.arange(8)), -1).reshape(-1, 2)
    centre, size = (cells + output[:, :2]) * 8, np.exp(np.clip(output[:, 2:4], -2, 2)) * 8
    boxes = np.concatenate([centre - size / 2, centre + size / 2], 1)
    found = []
    for i in np.argsort(-scores.max(1)):
        if scores[i].max() < limit:
            break
        if all(overlap(boxes[i], boxes[j]) < 0.5 for j, _ in found):
            found.append((i, int(scores[i].argmax())))
    return found


parser = argparse.ArgumentParser()
parser.add_argument("model")
parser.add_argument("image")
parser.add_argument("-p", "--provider", choices=get_available_providers(), default=None)
args = parser.parse_args()
session = InferenceSession(args.model, providers=args.provider)
node = session.get_inputs()[0]
image = np.load(args.image).reshape(node.shape).astype(node.dtype)
outputs = session.run([x.name for x in session.get_outputs()], {node.name: image})
for cell, kind in detect(outputs[0][0], 0.4):
    print("object", cell, kind)
