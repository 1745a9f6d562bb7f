"""A network small enough to run in every test."""

from __future__ import annotations

from pathlib import Path


def small(folder: Path) -> Path:
    """A small network with a dynamic input, and a workload that names it."""
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Conv", ["x", "w"], ["a"], "first", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("Conv", ["b", "v"], ["c"], "second", pads=[1, 1, 1, 1]),
        helper.make_node("Sigmoid", ["c"], ["y"], "end"),
    ]
    weights = []
    for name, shape in (("w", (32, 3, 3, 3)), ("v", (32, 32, 3, 3))):
        size = shape[0] * shape[1] * 9
        values = [0.1 * ((7 * i) % 11 - 5) for i in range(size)]
        weights.append(helper.make_tensor(name, TensorProto.FLOAT, shape, values))
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, "h", "w"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 32, "h", "w"])],
        weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (folder / "models").mkdir()
    onnx.save(model, str(folder / "models" / "small.onnx"))
    (folder / "models" / "small.yaml").write_text(
        "name: small\n"
        "model: {onnx: small.onnx, shapes: {x: [1, 3, 64, 64]}}\n"
        "build: {npu_mode: NPU1}\n"
        "variants:\n"
        + "".join(
            f"- {{name: {each}, set: {{build.vision_dtype: {each}}}}}\n"
            for each in ("u8", "u16", "bf16")
        )
    )
    return folder
