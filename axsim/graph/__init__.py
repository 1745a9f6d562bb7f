"""Graphs of ONNX operators: shapes, cost and float32 kernels."""
