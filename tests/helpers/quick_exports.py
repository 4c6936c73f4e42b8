"""What takes a third of the time of each ONNX export, once in a process."""


def quick_exports() -> None:
    """The exporter's table of operators is made once: PyTorch reads the source of 497 functions for each export."""
    import functools

    from torch.onnx._internal.exporter._registration import ONNXRegistry

    ONNXRegistry.from_torchlib = staticmethod(functools.cache(ONNXRegistry.from_torchlib))
