"""Attributes of our operators from those and the constant inputs of ONNX nodes, operator sets 9 on.

What was an attribute in old operator sets and is an input in new ones is an attribute here. Where
an old set meant something else by the same name, the difference is made up for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from axsim.graph.onnx_twin import ELEMENT
from axsim.graph.ops import OPERATORS
from axsim.kernels.array import Array

Attrs = dict[str, Any]

DTYPES = {number: name for name, number in ELEMENT.items()} | {11: "f32", 10: "f32", 16: "f32"}
"""Our dtype of each ONNX element type; floats of every width are computed in float32."""


def attributes(node: Any) -> Attrs:
    """The attributes of a NodeProto as Python values, tensors as arrays."""
    from onnx import AttributeProto, helper, numpy_helper

    attrs: Attrs = {}
    for attribute in node.attribute:
        value = helper.get_attribute_value(attribute)
        if attribute.type == AttributeProto.TENSOR:
            value = numpy_helper.to_array(value)
        elif isinstance(value, bytes):
            value = value.decode()
        elif isinstance(value, (list, tuple)) or attribute.type == AttributeProto.INTS:
            value = tuple(value)
        attrs[attribute.name] = value
    return attrs


def static_inputs(op: str, opset: int) -> tuple[str, ...]:
    """Attributes of ours that are the inputs after the first of ``op`` in this operator set."""
    if op == "Upsample" or (op == "Resize" and opset < 11):
        return ("scales",)
    return OPERATORS[op].static if op in OPERATORS else ()


def as_attribute(value: Array) -> Any:
    """A constant input as the value of an attribute: a number, or a tuple of numbers."""
    return value.item() if value.ndim == 0 else tuple(value.tolist())


def normalise(op: str, attrs: Attrs, outputs: int, rank: int, opset: int) -> tuple[str, Attrs]:
    """Name and attributes of our operator for an ONNX node with so many outputs, whose first input
    has ``rank`` dimensions. Raises ValueError for a variant that has no counterpart."""
    attrs = dict(attrs)
    rule = _RULES.get(op)
    if rule is not None:
        op = rule(attrs, outputs, rank, opset) or op
    for name in _DROPPED.get(op, ()):
        attrs.pop(name, None)
    return op, attrs


def _pad(attrs: Attrs, outputs: int, rank: int, opset: int) -> None:
    if "value" in attrs:
        attrs["constant_value"] = attrs.pop("value")


def _split(attrs: Attrs, outputs: int, rank: int, opset: int) -> None:
    if "split" not in attrs:
        attrs["num_outputs"] = outputs


def _topk(attrs: Attrs, outputs: int, rank: int, opset: int) -> None:
    if "k" in attrs:
        attrs["K"] = attrs.pop("k")


def _max_pool(attrs: Attrs, outputs: int, rank: int, opset: int) -> None:
    if outputs > 1:
        attrs["indices"] = True


def _upsample(attrs: Attrs, outputs: int, rank: int, opset: int) -> str:
    attrs["coordinate_transformation_mode"] = "asymmetric"
    attrs["nearest_mode"] = "floor"
    return "Resize"


def _resize(attrs: Attrs, outputs: int, rank: int, opset: int) -> None:
    if opset < 11:
        _upsample(attrs, outputs, rank, opset)


def _softmax(attrs: Attrs, outputs: int, rank: int, opset: int) -> None:
    if opset >= 13:
        return
    axis = attrs.get("axis", 1)
    if axis not in (-1, rank - 1):
        raise ValueError(
            f"softmax over axis {axis} and all that follow (operator set {opset}); "
            "convert the model to operator set 13"
        )


def _cast(attrs: Attrs, outputs: int, rank: int, opset: int) -> None:
    if attrs["to"] not in DTYPES:
        raise ValueError(f"a cast to element type {attrs['to']}")
    attrs["to"] = DTYPES[attrs["to"]]


def _gelu(attrs: Attrs, outputs: int, rank: int, opset: int) -> None:
    if attrs.get("approximate") == "none":
        del attrs["approximate"]


_RULES: Mapping[str, Callable[[Attrs, int, int, int], str | None]] = {
    "Pad": _pad,
    "Split": _split,
    "TopK": _topk,
    "MaxPool": _max_pool,
    "Upsample": _upsample,
    "Resize": _resize,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "Cast": _cast,
    "Gelu": _gelu,
}
_DROPPED: Mapping[str, Sequence[str]] = {
    "Cast": ("saturate", "round_mode"),
    "BatchNormalization": ("momentum", "spatial"),
    "Conv": ("kernel_shape",),  # the weight says the same
    "ConvTranspose": ("kernel_shape",),
    "TopK": ("sorted",),
    "InstanceNormalization": (),
}
