"""Networks that cannot be pruned as they are: what is the matter and what to do, in a sentence each."""

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import prune as masks
from torch.nn.utils.spectral_norm import SpectralNorm
from torch.nn.utils.weight_norm import WeightNorm

from course_utils.modes import evaluating
from solutions.graph.export import said
from solutions.plans import PlanError
from solutions.surgery import NOT_COPIED, outputs

WRAPPED = (nn.DataParallel, nn.parallel.DistributedDataParallel)
HOOKS = {  # hooks that compute a weight before each call → what to do about them
    masks.BasePruningMethod: "a mask of torch.nn.utils.prune: make it permanent first (prune.remove)",
    WeightNorm: "torch's old weight norm: remove it first (remove_weight_norm), or take the parametrisation "
    "weight_norm",
    SpectralNorm: "torch's old spectral norm: remove it first (remove_spectral_norm), or take the parametrisation "
    "spectral_norm",
}


def refuse(network: nn.Module, example: Any) -> None:
    """Raise PlanError for a network that cannot be pruned as it is, or does not run on the example."""
    for problem in problems(network):
        raise PlanError(problem)
    try:
        with evaluating(network):
            found = outputs(network, example)
    except Exception as error:
        raise PlanError(
            f"The network does not run on the example ({said(error)}): give an input that it takes, or a tuple of its "
            "inputs, on its device and in its dtype."
        ) from error
    try:
        copy.deepcopy(network)
    except Exception as error:
        raise PlanError(f"{NOT_COPIED} ({said(error)}).") from error
    if not found:
        raise PlanError(
            "The network's output holds no tensor: make it return one, or several in a list, tuple or dict."
        )


def problems(network: nn.Module) -> Iterator[str]:
    """Sentences on what stands against pruning a network, before it is run."""
    if not isinstance(network, nn.Module):
        yield f"A network is a torch.nn.Module; this is a {type(network).__name__}."
        return
    if isinstance(network, WRAPPED):
        yield f"The network is wrapped in {type(network).__name__}: give the one inside, `network.module`."
    for path, module in network.named_modules():
        name, kind = path or "The network", f"{type(module).__module__}.{type(module).__name__}"
        if isinstance(module, torch.jit.ScriptModule):
            yield f"{name} is scripted (torch.jit): give the module that it was made from."
        if hasattr(module, "_orig_mod") or getattr(module, "_compiled_call_impl", None) is not None:
            yield (
                f"{name} is compiled (torch.compile): give the network from before (its `_orig_mod`), and compile the "
                "pruned one."
            )
        if ".quantized." in kind or kind.startswith("torchao."):
            yield f"{name} is quantised: prune the network from before, and quantise the pruned one."
        if any(map(is_lazy, module.parameters(recurse=False))):
            yield f"{name} is lazy and has no size yet: run the network once before."
        for hook in module._forward_pre_hooks.values():
            for cls, what in HOOKS.items():
                if isinstance(hook, cls):
                    yield f"{name} carries {what}."
    if any(tensor.is_meta for tensor in [*network.parameters(), *network.buffers()]):
        yield "The network has no numbers (device meta): give it some, on the CPU or a GPU."
