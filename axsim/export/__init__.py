"""Subgraphs as ONNX models, in float32 and quantised."""
