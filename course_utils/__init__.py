"""What students use and are not asked to write: networks, training, checkpoints, ONNX files, plots, checks."""
