"""Networks from ONNX files beside onnxruntime: the same graphs, in one process, on as many threads.

    python benchmarks/networks.py [NAME or FILE …] [--dtype f32|u8|u16] [--threads 2] [--clock cpu]

A name is a graph of measurements/onnx with seeded weights, or ``yolov8s``; by default resnet50 and
yolov8s. In u8 and u16 onnxruntime computes the model that axsim exports: the same scales, between
QuantizeLinear and DequantizeLinear, with all of its fusions, in exact products. Prints
milliseconds (the least of the repetitions, taken in turn), the ratio, the target, and the largest
difference over the largest number.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TARGETS = {"f32": 1.2, "u8": 1.0, "u16": float("nan")}
PAUSE = 0.2
"""Seconds in which the threads of the side before stop looking for more work."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=["resnet50", "yolov8s"])
    parser.add_argument("--dtype", choices=list(TARGETS), action="append")
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    args = parser.parse_args()
    if os.environ.get("AXSIM_THREADS") != str(args.threads):
        names = ("AXSIM_THREADS", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS")
        os.environ.update(dict.fromkeys(names, str(args.threads)))
        os.execv(sys.executable, [sys.executable, *sys.argv])
    clock = time.perf_counter if args.clock == "wall" else time.process_time
    print(f"{'':28}{'axsim ms':>10}{'ort ms':>10}{'ratio':>8}{'target':>8}{'error':>10}")
    for name in args.names:
        for dtype in args.dtype or ["f32", "u8"]:
            compare(name, dtype, args.threads, args.repeat, clock)


def compare(name: str, dtype: str, threads: int, repeat: int, clock) -> None:  # type: ignore[no-untyped-def]
    from axsim.export.subgraphs import export
    from axsim.network.fusion import fused
    from axsim.network.random_weights import seeded
    from axsim.numerics.executor import Executor
    from axsim.numerics.formats import assign_network
    from axsim.numerics.integer_graph import Integer
    from axsim.numerics.ranges import Calibration

    network = fused(seeded(opened(name)))
    graph = network.graph
    rng = np.random.default_rng(0)
    x = {n: rng.random(graph.tensors[n].shape, np.float32) for n in graph.inputs}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.onnx"
        if dtype == "f32":
            executor = Executor(graph, network.weight)
            export(graph, network.weight, file)
        else:
            graph = assign_network(graph, dtype)
            calibration = Calibration()
            Executor(graph, network.weight, calibration).run_all(x)
            qparams = calibration.qparams(graph)
            executor = Executor(graph, network.weight, Integer(qparams))
            export(graph, network.weight, file, qparams, quantised=True)
        session = opened_session(file, threads)
    expected, found = session.run(list(graph.outputs), x), executor.run_all(x)
    error = max(
        float(np.abs(a - b).max() / np.abs(a).max())
        for a, b in zip(expected, found.values(), strict=True)
    )
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(repeat):
        runs = (lambda: executor.run_all(x), lambda: session.run(None, x))
        for run, taken in zip(runs, times, strict=True):
            time.sleep(PAUSE)
            start = clock()
            run()
            taken.append(1e3 * (clock() - start))
    ours, theirs = min(times[0]), min(times[1])
    label, ratio, target = f"{name} {dtype}", f"{ours / theirs:8.2f}", f"{TARGETS[dtype]:8.2f}"
    print(f"{label:28}{ours:10.1f}{theirs:10.1f}{ratio}{target}{error:10.1e}", flush=True)


def opened(name: str):  # type: ignore[no-untyped-def]
    from axsim.network.read import read
    from axsim.spec.descriptor import data_folder

    shipped = data_folder("measurements") / "onnx" / f"{name}.onnx"
    if name != "yolov8s":
        return read(shipped if shipped.exists() else name)
    sys.path.insert(0, str(Path(__file__).parent))
    from yolo import yolov8s

    file = Path(tempfile.gettempdir()) / "yolov8s-like.onnx"
    file.write_bytes(yolov8s().SerializeToString())
    return read(file)


def opened_session(file: Path, threads: int):  # type: ignore[no-untyped-def]
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    # Without VNNI its kernels of U8 with S8 add pairs in saturating int16; ours are exact.
    options.add_session_config_entry("session.x64quantprecision", "1")
    return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
