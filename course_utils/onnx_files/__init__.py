"""ONNX files: how a network is handed in and measured. Nothing that a file says of itself is believed."""
