"""ONNX exports that take less time in tests: what two of them have in common is done once in a process."""


def quick_exports() -> None:
    """The exporter's table of operators is made once, and equal networks of a recipe are exported once.

    PyTorch reads the source of 497 functions for the table, a third of a small network's export.
    """
    import functools
    import hashlib
    import json
    from types import SimpleNamespace

    import onnx
    import torch
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    ONNXRegistry.from_torchlib = staticmethod(functools.cache(ONNXRegistry.from_torchlib))
    export, exported = torch.onnx.export, {}

    def description(network, arguments, options):
        """All that an export follows from, for a network whose forward pass its recipe tells."""
        digest = hashlib.sha256()
        for name, tensor in network.state_dict().items():
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)} {tensor.stride()}".encode())
            digest.update(tensor.detach().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        shapes = [(tuple(tensor.shape), tensor.dtype) for tensor in arguments]
        modes = [module.training for module in network.modules()]
        return json.dumps(network.recipe), repr(network), repr((modes, shapes, options)), digest.hexdigest()

    @functools.wraps(export)
    def export_once(network, arguments, **options):
        hooked = any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
        if hooked or not getattr(network, "recipe", None):
            return export(network, arguments, **options)
        key = description(network, arguments, options)
        if key not in exported:
            exported[key] = export(network, arguments, **options).model_proto.SerializeToString()
        return SimpleNamespace(model_proto=onnx.load_model_from_string(exported[key]))

    torch.onnx.export = export_once
