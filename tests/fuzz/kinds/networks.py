"""ONNX files: damaged bytes, cycles, missing shapes, data outside the folder, large numbers."""

from __future__ import annotations

import json
import os
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from tests.fuzz import mutate
from tests.fuzz.kinds import base
from tests.fuzz.kinds.kind import Kind

RUN = ["run", "n.onnx", "--chip", "ax630c", "--timing-only", "--json", "-"]


@cache
def _networks() -> tuple[bytes, ...]:
    """Small networks of several sorts of operators."""
    from onnx import helper

    from tests.network.filled import model

    rng = np.random.default_rng(3)

    def filled(*shape: int) -> Any:
        return rng.standard_normal(shape).astype(np.float32)

    conv = model(
        [
            helper.make_node("Conv", ["x", "w", "b"], ["c"], kernel_shape=[3, 3], pads=[1] * 4),
            helper.make_node("Relu", ["c"], ["r"]),
            helper.make_node("MaxPool", ["r"], ["p"], kernel_shape=[2, 2], strides=[2, 2]),
            helper.make_node("Flatten", ["p"], ["f"]),
            helper.make_node("Gemm", ["f", "m"], ["y"]),
        ],
        [("x", [1, 3, 8, 8])],
        [("y", [1, 5])],
        {"w": filled(4, 3, 3, 3), "b": filled(4), "m": filled(64, 5)},
    )
    shapes = model(
        [
            helper.make_node("Shape", ["x"], ["s"]),
            helper.make_node("Gather", ["s", "zero"], ["n"]),
            helper.make_node("Unsqueeze", ["n", "axis"], ["n1"]),
            helper.make_node("Concat", ["n1", "minus"], ["target"], axis=0),
            helper.make_node("Reshape", ["x", "target"], ["rows"]),
            helper.make_node("Slice", ["rows", "axis", "ends", "ones"], ["z"]),
            helper.make_node("Softmax", ["z"], ["y"]),
        ],
        [("x", [2, 3, 4])],
        [("y", None)],
        {
            "zero": np.int64(0),
            "axis": np.array([0]),
            "minus": np.array([-1]),
            "ends": np.array([7]),
            "ones": np.array([1]),
        },
    )
    sized = model(
        [
            helper.make_node("Resize", ["x", "", "scales"], ["u"], mode="nearest"),
            helper.make_node("Pad", ["u", "pads"], ["p"]),
            helper.make_node("Tile", ["p", "times"], ["t"]),
            helper.make_node("Transpose", ["t"], ["v"], perm=[0, 2, 3, 1]),
            helper.make_node("Add", ["v", "one"], ["y"]),
        ],
        [("x", [1, 2, 4, 4])],
        [("y", None)],
        {
            "scales": np.array([1, 1, 2, 2], np.float32),
            "pads": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
            "times": np.array([1, 1, 2, 1]),
            "one": filled(2),
        },
    )
    return tuple(each.SerializeToString() for each in (conv, shapes, sized))


def damaged(rng: Random, folder: Path) -> list[str]:
    base.write(folder, "n.onnx", mutate.blob(rng, rng.choice(_networks())))
    return list(RUN)


def rewired(rng: Random, folder: Path) -> list[str]:
    """Names, attributes, shapes and arrays changed in a valid protobuf."""
    import onnx
    from onnx import helper, numpy_helper

    model = onnx.ModelProto.FromString(rng.choice(_networks()))
    graph = model.graph
    for _ in range(rng.choice((1, 1, 2))):
        node = rng.choice(graph.node)
        names = [
            "",
            "x",
            "y",
            *(name for each in graph.node for name in each.output),
            rng.choice(mutate.TEXTS[:-1]),
        ]
        action = rng.randrange(10)
        if action == 0 and node.input:
            node.input[rng.randrange(len(node.input))] = rng.choice(names)
        elif action == 1:
            node.output[0] = rng.choice(names)
        elif action == 2:
            node.op_type = rng.choice(
                (
                    "If",
                    "Loop",
                    "Relu",
                    "Conv",
                    "Reshape",
                    "Einsum",
                    "Cast",
                    "Split",
                    "NoSuch",
                    "",
                    "\x1b[31m",
                )
            )
        elif action == 3 and node.attribute:
            old = rng.choice(node.attribute)
            name = old.name
            node.attribute.remove(old)
            value = rng.choice(
                (
                    -1,
                    0,
                    1 << 31,
                    1 << 62,
                    1.5,
                    "text",
                    [0, 0],
                    [-1, -1],
                    [1 << 40, 1 << 40],
                    [3],
                    [1, 1, 1],
                )
            )
            node.attribute.append(helper.make_attribute(name, value))
        elif action == 4:
            value = rng.choice(graph.input)
            for dimension in value.type.tensor_type.shape.dim:
                if rng.random() < 0.5:
                    dimension.dim_value = rng.choice((0, -1, 1, 7, 1 << 20, 1 << 40, 1 << 62))
        elif action == 5:
            rng.choice(graph.input).type.tensor_type.ClearField("shape")
        elif action == 6 and graph.initializer:
            tensor = rng.choice(graph.initializer)
            try:
                array = numpy_helper.to_array(tensor)
            except Exception:  # damaged before; onnx has errors of its own
                continue
            odd = rng.choice((0, -1, 1 << 20, 1 << 31, 1 << 62, float("nan"), float("inf")))
            changed = np.full(
                array.shape,
                odd if array.dtype.kind == "f" or (odd == odd and abs(odd) < 2**63) else 0,
            )
            tensor.CopyFrom(numpy_helper.from_array(changed.astype(array.dtype), tensor.name))
        elif action == 7 and graph.initializer:
            tensor = rng.choice(graph.initializer)
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            place = rng.choice(
                (
                    "../../../etc/passwd",
                    "/etc/passwd",
                    "nowhere",
                    "",
                    "data.bin",
                    "link.bin",
                    "\x00",
                )
            )
            for key, value in (
                ("location", place),
                ("offset", rng.choice(("0", "-1", "x", "9" * 30))),
                ("length", "4"),
            ):
                if rng.random() < 0.9:
                    tensor.external_data.add(key=key, value=value)
        elif action == 8 and graph.initializer:
            del rng.choice(graph.initializer).dims[:]
        else:
            model.opset_import[0].version = rng.choice((0, 1, 9, 13, 24, 99, -1, 1 << 40))
    (folder / "link.bin").unlink(missing_ok=True)
    os.symlink("/etc/passwd", folder / "link.bin")
    base.write(folder, "data.bin", b"\0" * 4096)
    base.write(folder, "n.onnx", model.SerializeToString())
    sizes = [each.dim_value for given in graph.input for each in given.type.tensor_type.shape.dim]
    if rng.random() < 0.3 and max(sizes, default=0) < 100:  # kernels of more are work, no attack
        return ["run", "n.onnx", "--chip", "ax630c", "--json", "-"]
    return list(RUN)


def shapes(rng: Random, folder: Path) -> list[str]:
    """``--shape`` and ``--output``."""
    which = rng.randrange(3)
    base.write(folder, "n.onnx", _networks()[which])
    own = ((1, 3, 8, 8), (2, 3, 4), (1, 2, 4, 4))[which]
    size = [each if rng.random() < 0.7 else rng.choice((1, 2, 3, 7, 8, 64, 4096)) for each in own]
    if rng.random() < 0.3:
        size = [rng.choice((0, -1, 1, 10**6, 2**40, 10**30)) for _ in range(rng.choice((0, 1, 4)))]
    sizes = "x".join(map(str, size))
    name = "x" if rng.random() < 0.8 else rng.choice(("y", "", *mutate.TEXTS))
    given = [*RUN, "--shape", f"{name}={sizes}".replace("\0", "")]
    if rng.random() < 0.3:
        given += [
            "--output",
            rng.choice(("y", "f", "", "nowhere", *mutate.TEXTS)).replace("\0", ""),
        ]
    return given


def builds(rng: Random, folder: Path) -> list[str]:
    """The compiler's own configuration."""
    from tests.spec.test_pulsar2 import DOCUMENTED

    base.write(folder, "n.onnx", _networks()[0])
    text = json.dumps(mutate.tree(rng, DOCUMENTED))
    if rng.random() < 0.2:
        text = mutate.text(rng, text)
    base.write(folder, "c.json", mutate.encoded(rng, text))
    return [*RUN, "--pulsar2", "c.json"]


KINDS = (
    Kind("builds", builds, 0.5, 2),
    Kind("onnx bytes", damaged, 1.0, 4),
    Kind("onnx graphs", rewired, 1.5, 5),
    Kind("onnx shapes", shapes, 0.5, 4),
)
