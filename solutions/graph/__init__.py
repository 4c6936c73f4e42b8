"""Which channels belong together in any network, read from its ONNX graph."""
