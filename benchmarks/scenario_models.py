"""Write the networks of scenarios/onnx: published architectures without weights.

python benchmarks/scenario_models.py

``yolov8s.onnx`` is the detector of yolo.py, on 640 pixels. ``hifigan_v2.onnx`` is the generator of
HiFi-GAN (Kong, Kim and Bae, NeurIPS 2020) in the authors' configuration V2, on 128 mel frames:
1.49 s of speech at 22,050 Hz.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from onnx import TensorProto, helper, save
from yolo import _Writer, yolov8s

FOLDER = Path(__file__).parents[1] / "scenarios" / "onnx"
FRAMES, MELS = 128, 80
CHANNELS = 128
UPSAMPLING = ((8, 16), (8, 16), (2, 4), (2, 4))
"""Rate and kernel of each step; config_v2.json of the authors' repository."""
KERNELS, DILATIONS = (3, 7, 11), (1, 3, 5)


def hifigan(frames: int = FRAMES) -> Any:
    """The ModelProto for mel spectrograms [1, 80, frames]."""
    w = _Writer()
    names: list[Any] = []

    def weight(*shape: int) -> str:
        name = f"w{len(names)}"
        names.append(TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape))
        return name

    def conv(x: str, inner: int, out: int, size: int, dilation: int = 1) -> str:
        pad = dilation * (size - 1) // 2
        operands = [x, weight(out, inner, size), weight(out)]
        return w.node("Conv", operands, dilations=[dilation], pads=[pad, pad])[0]

    def leaky(x: str) -> str:
        return w.node("LeakyRelu", [x], alpha=0.1)[0]

    x, width = conv("mel", MELS, CHANNELS, 7), CHANNELS
    for rate, size in UPSAMPLING:
        pad = (size - rate) // 2
        operands = [leaky(x), weight(width, width // 2, size), weight(width // 2)]
        x = w.node("ConvTranspose", operands, strides=[rate], pads=[pad, pad])[0]
        width //= 2
        branches = []
        for kernel in KERNELS:
            y = x
            for dilation in DILATIONS:
                z = conv(leaky(y), width, width, kernel, dilation)
                z = conv(leaky(z), width, width, kernel)
                y = w.node("Add", [y, z])[0]
            branches.append(y)
        total = w.node("Add", branches[:2])[0]
        total = w.node("Add", [total, branches[2]])[0]
        third = helper.make_tensor(f"third{width}", TensorProto.FLOAT, (1,), [1 / len(KERNELS)])
        names.append(third)
        x = w.node("Mul", [total, third.name])[0]
    end = w.node("Tanh", [conv(leaky(x), width, 1, 7)])[0]
    graph = helper.make_graph(
        w.nodes,
        "hifigan_v2",
        [helper.make_tensor_value_info("mel", TensorProto.FLOAT, [1, MELS, frames])],
        [helper.make_tensor_value_info(end, TensorProto.FLOAT, None)],
        names,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def without_weights(model: Any) -> Any:
    """Arrays of more than a few numbers lose them and keep their shapes."""
    for tensor in model.graph.initializer:
        if len(tensor.raw_data) > 64:
            tensor.raw_data = b""
    return model


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, model in (("yolov8s", without_weights(yolov8s())), ("hifigan_v2", hifigan())):
        save(model, str(FOLDER / f"{name}.onnx"))
        print(name, (FOLDER / f"{name}.onnx").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
