"""Networks read from ONNX files: graphs of any architecture, and their weights."""
