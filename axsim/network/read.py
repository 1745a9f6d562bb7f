"""Read an ONNX file: a graph of our operators with static shapes, and where its weights are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from axsim.errors import InputError, Problem
from axsim.network import protobuf
from axsim.network.network import Network
from axsim.network.translate import Translation

Shape = tuple[int, ...]

OLDEST, NEWEST = 9, 24
"""Operator sets that are read: nodes mean the same in all of them, or the reader knows better."""


_PADDINGS = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
_WORDS = {
    "DepthToSpace.mode": ("DCR", "CRD"),
    "Gelu.approximate": ("none", "tanh"),
    "Pad.mode": ("constant", "reflect", "edge", "wrap"),
    "ScatterND.reduction": ("none", "add", "mul", "max", "min"),
}
"""What texts of attributes may be, as ONNX has them: its own checks do not look. Resize looks at
its own."""

LARGEST_SIDE = 1 << 24
"""Of an input's shape."""


def read(
    path: Path | str, shapes: Mapping[str, Shape] | None = None, outputs: Sequence[str] = ()
) -> Network:
    """The network of an ONNX file.

    ``shapes``: of inputs that have dynamic dimensions, or that are to have other ones than the file
    says. ``outputs``: tensors to end at in place of
    the graph's own outputs; what only these need is left out. Raises InputError for a file that is
    no valid model, dimensions that nobody gave, unknown names, and one for all operators that are
    not supported.
    """
    path = Path(path)
    model = protobuf.load(path)
    opset = _operator_set(path, model)
    model = _inlined(path, model)
    graph = model.graph
    if outputs:
        _cut(path, graph, outputs)
    _prune(graph)
    _check_order(path, graph)
    _check_attributes(path, graph, opset)
    inputs = _inputs(path, graph, shapes or {})
    _check_shapes(path, model)
    translation = Translation(path, path.stem, opset)
    for tensor in graph.initializer:
        translation.initialiser(tensor)
    for value, shape in inputs.items():
        translation.input(value, shape, graph)
    for node in graph.node:
        translation.node(node)
    return translation.network([value.name for value in graph.output])


def _operator_set(path: Path, model: Any) -> int:
    versions = {entry.domain: entry.version for entry in model.opset_import}
    version = versions.get("", versions.get("ai.onnx", 0))
    if not OLDEST <= version <= NEWEST:
        what = f"is of ONNX operator set {version}"
        raise InputError(Problem(str(path), "", what, f"{OLDEST} to {NEWEST}"))
    return int(version)


def _inlined(path: Path, model: Any) -> Any:
    """The model with its functions written out where they are called."""
    if not model.functions:
        return model
    from onnx import checker, inliner

    calls = {
        (each.domain, each.name): {(node.domain, node.op_type) for node in _within(each.node)}
        for each in model.functions
    }
    try:
        TopologicalSorter({name: called & calls.keys() for name, called in calls.items()}).prepare()
    except CycleError as error:
        circle = ", ".join(dict.fromkeys(name for _, name in error.args[1]))
        what = f"is no valid model: functions call each other in a circle: {circle}"
        raise InputError(Problem(str(path), "", what)) from None
    try:
        return inliner.inline_local_functions(model)
    except (checker.ValidationError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(Problem(str(path), "", f"is no valid model: {reason}")) from None


def _within(nodes: Iterable[Any]) -> Iterator[Any]:
    """Nodes and those of the graphs inside them."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _within(inner.node)


def _cut(path: Path, graph: Any, outputs: Sequence[str]) -> None:
    """End the graph at ``outputs``."""
    from onnx import ValueInfoProto

    made = [name for node in graph.node for name in node.output if name]
    unknown = [name for name in outputs if name not in made]
    if unknown:
        raise InputError(
            Problem(
                f"output {name}",
                "",
                f"{path} makes no tensor of that name",
                "" if len(made) > 20 else ", ".join(made),
                next(iter(get_close_matches(name, made, 1)), ""),
            )
            for name in unknown
        )
    declared = {value.name: value for value in graph.output}
    ends = [declared.get(name, ValueInfoProto(name=name)) for name in dict.fromkeys(outputs)]
    del graph.output[:]
    graph.output.extend(ends)


def _prune(graph: Any) -> None:
    """Drop nodes, initialisers and inputs that no output needs. Subgraphs need what they name."""
    needed = {value.name for value in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.isdisjoint(node.output):
            continue
        kept.append(node)
        needed.update(node.input)
        for attribute in node.attribute:
            for inner in attribute.g.node:
                needed.update(inner.input)
    if len(kept) < len(graph.node):
        nodes = kept[::-1]
        del graph.node[:]
        graph.node.extend(nodes)
    for field in (graph.initializer, graph.input):
        used = [value for value in field if value.name in needed]
        if len(used) < len(field):
            del field[:]
            field.extend(used)


def _check_order(path: Path, graph: Any) -> None:
    """InputError when a node reads what none before it makes (so in every circle), or makes what
    is there already."""
    known = {""} | {tensor.name for tensor in graph.initializer}
    known |= {value.name for value in graph.input}
    known |= {tensor.values.name for tensor in graph.sparse_initializer}
    wrong = []
    if any(isinstance(name, bytes) for name in _names(graph)):
        raise InputError(Problem(str(path), "", "is no valid model: a name is no UTF-8 text"))
    for node in graph.node:
        label = node.name or node.op_type
        unknown = next((name for name in node.input if name not in known), None)
        again = next((name for name in node.output if name and name in known), None)
        if not any(node.output):
            wrong.append(f"node {label} makes nothing")
        elif unknown is not None:
            wrong.append(f"node {label} reads {unknown!r}, which nothing before it makes")
        elif again is not None:
            wrong.append(f"node {label} makes {again!r}, which is there before")
        known.update(node.output)
    wrong += [
        f"nothing makes its output {value.name!r}"
        for value in graph.output
        if not value.name or value.name not in known
    ]
    if not graph.output:
        wrong.append("it has no output")
    wrong += [
        f"initialiser {tensor.values.name!r} is sparse; only dense ones are read"
        for tensor in graph.sparse_initializer
    ]
    if wrong:
        raise InputError(Problem(str(path), "", f"is no valid model: {each}") for each in wrong)


def _check_attributes(path: Path, graph: Any, opset: int) -> None:
    """InputError for an attribute of another type than its operator has, or of no known word."""
    from onnx import AttributeProto, defs

    types = AttributeProto.AttributeType
    wrong = []
    for node in graph.node:
        if node.domain not in ("", "ai.onnx") or not defs.has(node.op_type):
            continue
        try:
            known: Any = defs.get_schema(node.op_type, opset).attributes
        except defs.SchemaError:  # of another operator set
            continue
        for attribute in node.attribute:
            wanted, found, allowed = known.get(attribute.name), "", ""
            words = _words(node.op_type, attribute.name)
            if wanted is not None and attribute.type != wanted.type.value:
                found, allowed = types.Name(attribute.type), wanted.type.name
            elif words and attribute.s.decode("utf-8", "replace") not in words:
                found, allowed = repr(attribute.s.decode("utf-8", "replace")), ", ".join(words)
            if found:
                label = node.name or f"{node.op_type}:{node.output[0]}"
                what = f"is no valid model: {attribute.name} of node {label} is {found}"
                wrong.append(Problem(str(path), "", what, allowed))
    if wrong:
        raise InputError(wrong)


def _words(op: str, attribute: str) -> tuple[str, ...]:
    return _PADDINGS if attribute == "auto_pad" else _WORDS.get(f"{op}.{attribute}", ())


def _names(graph: Any) -> Iterator[object]:
    """All names of a graph; protobuf gives bytes for those that are no text."""
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    yield from (tensor.name for tensor in graph.initializer)
    for value in (*graph.input, *graph.output):
        yield value.name
        yield from (dimension.dim_param for dimension in value.type.tensor_type.shape.dim)


def _inputs(path: Path, graph: Any, shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """Inputs and their static shapes; the model is given these, too."""
    initialised = {tensor.name for tensor in graph.initializer}
    values = [value for value in graph.input if value.name not in initialised]
    names = [value.name for value in values]
    problems = [
        Problem(
            f"--shape {name}",
            "",
            f"{path} has no input of that name",
            ", ".join(names),
            next(iter(get_close_matches(name, names, 1)), ""),
        )
        for name in shapes
        if name not in names
    ]
    found: dict[str, Shape] = {}
    for value in values:
        tensor = value.type.tensor_type
        declared = [d.dim_value or d.dim_param or "?" for d in tensor.shape.dim]
        given = shapes.get(value.name)
        if given is None and tensor.HasField("shape") and all(map(_is_size, declared)):
            found[value.name] = tuple(d.dim_value for d in tensor.shape.dim)
        elif given is None:
            text = "x".join(map(str, declared)) if tensor.HasField("shape") else "unknown"
            example = "x".join(map(str, _example(declared))) or "1x3x640x640"
            what = f"has dynamic dimensions ({text}); say --shape {value.name}={example}"
            problems.append(Problem(str(path), f"input {value.name}", what))
        elif tensor.HasField("shape") and len(declared) != len(given):
            text = "x".join(map(str, declared))
            shown = "x".join(map(str, given))
            problems.append(Problem(f"--shape {value.name}={shown}", "", f"{path} declares {text}"))
        elif max(given, default=1) > LARGEST_SIDE:
            shown = "x".join(map(str, given))
            place = f"--shape {value.name}={shown}"
            problems.append(Problem(place, "", "is too large", f"sides up to {LARGEST_SIDE:,}"))
        else:
            found[value.name] = given
            tensor.ClearField("shape")
            for size in given:
                tensor.shape.dim.add().dim_value = size
    if problems:
        raise InputError(problems)
    return found


def _example(declared: Sequence[Any]) -> list[Any]:
    """Sizes for an input's dimensions: of a picture 640 pixels along a side, of others 1."""
    is_picture = len(declared) == 4
    return [
        size if _is_size(size) else 640 if is_picture and index > 1 else 1
        for index, size in enumerate(declared)
    ]


def _is_size(dimension: Any) -> bool:
    return isinstance(dimension, int) and dimension > 0


def _check_shapes(path: Path, model: Any) -> None:
    """ONNX's own strict inference of types and shapes, which finds what is wrong with a graph."""
    from onnx import shape_inference

    del model.graph.value_info[:]
    for value in model.graph.output:  # sizes for other input shapes
        value.type.tensor_type.ClearField("shape")
    try:
        # Without onnx's propagation of values, which makes the numbers of a Range of any length.
        shape_inference.infer_shapes(model, check_type=True, strict_mode=True)
    except (shape_inference.InferenceError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(Problem(str(path), "", f"is no valid model: {reason}")) from None
