"""Networks on codes beside onnxruntime's QuantizeLinear and DequantizeLinear of the same scales."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx

from axsim.export.subgraphs import export
from axsim.graph.ops import OPERATORS
from axsim.network.network import Network
from axsim.numerics.executor import Executor
from axsim.numerics.formats import assign_network
from axsim.numerics.integer_graph import Integer
from axsim.numerics.observers import OBSERVERS
from axsim.numerics.ranges import Calibration


def compared(
    network: Network, x: dict[str, np.ndarray], dtype: str, folder: Path, observer: str = "MinMax"
) -> tuple[float, float]:
    """The share of elements more than one step away, every node given the same operands, and the
    cosine of the whole to float32 of the output that fares worst."""
    import onnxruntime

    assigned = assign_network(network.graph, dtype)
    calibration = Calibration(OBSERVERS[observer])
    reference = Executor(assigned, network.weight, calibration).run_all(x)
    qparams = calibration.qparams(assigned)
    export(assigned, network.weight, folder / "q.onnx", qparams, quantised=True)
    model = onnx.load(str(folder / "q.onnx"))
    made = {n for node in model.graph.node for n in node.output}
    shown = [n for node in assigned.nodes for n in node.outputs if n in qparams and n in made]
    ends = {value.name for value in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=n) for n in shown if n not in ends)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = onnxruntime.InferenceSession(model.SerializeToString(), options)
    values = dict(zip((o.name for o in plain.get_outputs()), plain.run(None, x), strict=True))

    arithmetic = Integer(qparams)
    beyond = total = 0
    steps = arithmetic.steps(assigned, shown)

    def operand(name: str) -> object:
        tensor = assigned.tensors[name]
        if tensor.kind == "weight":
            return arithmetic.load(tensor, network.weight)
        if tensor.kind == "constant":
            return assigned.values[name]()
        return arithmetic.feed(tensor, x[name] if tensor.kind == "input" else values[name])

    def far(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
        return np.abs(found.astype(np.int64) - expected.astype(np.int64)) > 1

    makers = {name: node for node in assigned.nodes for name in node.outputs}
    for step in steps.values():
        if step is None:
            continue
        for output, codes in zip(step.outputs, step.run(*map(operand, step.inputs)), strict=True):
            if output in shown:
                q, node = qparams[output], makers[output]
                away = far(codes, q.quantise(values[output]))
                if away.any() and OPERATORS[node.op].role == "function":
                    # onnxruntime's Sigmoid is off by 1e-7, more than a step of small U16 results.
                    operands = (np.asarray(values[n], np.float64) for n in node.inputs)
                    exact = OPERATORS[node.op].kernel(*operands, **node.attrs)[0]
                    away &= far(codes, q.quantise(exact.astype(np.float32)))
                beyond += int(away.sum())
                total += away.size
    assert total > 1e5
    whole = Executor(assigned, network.weight, Integer(qparams)).run_all(x)
    cosines = [
        np.vdot(whole[n], reference[n]) / np.linalg.norm(whole[n]) / np.linalg.norm(reference[n])
        for n in reference
    ]
    return beyond / total, float(min(cosines))
