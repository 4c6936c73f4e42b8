"""Networks as files that also say what they are: a pruned network comes back with one call.

A checkpoint is a safetensors file (tensors, no code) with the recipe of the *unpruned* network in its
metadata. `load_network` builds that recipe and fits every layer to the shapes in the file, so it does not
matter who pruned the network, or how, as long as only sizes changed.
"""

import json
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from course_utils.networks import build
from minicifar.files import atomic

FORMAT = 1

_KEY = "pruning-labs"
_FREE = ("stride", "padding", "padding_mode", "dilation", "groups", "eps", "kernel_size", "ceil_mode")


class CheckpointError(Exception):
    """A file that is not a checkpoint, or a network that cannot be kept as one; the message says which."""


def save_network(
    network: nn.Module,
    path: str | Path,
    *,
    recipe: Mapping[str, Any] | None = None,
    history: list[dict[str, Any]] | None = None,
    images: Any = None,
    **notes: Any,
) -> Path:
    """Write weights, recipe, training history and notes to `path`, all or nothing; returns the path.

    `images` is the data set that the network was trained on: its fingerprint and description are kept, so
    that a result on synthetic images is never taken for a real one. `notes` are plain values, such as
    `accuracy=0.86`. `recipe` says how a network is built that the course's functions did not make, one of torchvision
    or timm: `recipe={"builder": "from_torchvision", "arguments": {"name": "resnet18"}}`.
    Raises CheckpointError when loading the file would not give this network back.
    """
    recipe = recipe or getattr(network, "recipe", None)
    if recipe is None:
        raise CheckpointError(
            "This network has no `recipe`, so nobody could build it again: make it with a function of "
            "course_utils.networks, put @builder before your own, or say how torchvision or timm makes it by "
            'recipe={"builder": "from_torchvision", "arguments": {"name": …}}.'
        )
    tensors, tied = _tensors(network)
    _refuse_new_modules(network, rebuild(recipe, tensors, tied))
    about = {
        "format": FORMAT,
        "recipe": recipe,
        "tied": tied,
        "history": history or [],
        "images": _describe_images(images),
        "notes": notes,
        "versions": {"torch": torch.__version__, "python": platform.python_version()},
    }
    # One entry only: safetensors writes several in an order that changes from run to run.
    metadata = {_KEY: json.dumps(about, default=_to_plain)}
    with atomic(path) as temporary:
        temporary.write_bytes(safetensors.torch.save(tensors, metadata))
    return Path(path)


def load_network(path: str | Path, device: str | torch.device = "cpu") -> nn.Module:
    """The network that `save_network` wrote, pruned or not, in eval mode.

    Raises FileNotFoundError when there is no such file, CheckpointError when it is not a checkpoint.
    """
    about = describe(path)
    try:
        tensors = safetensors.torch.load_file(path)
    except safetensors.SafetensorError as error:
        raise CheckpointError(f"{path} is damaged: {error}.") from None
    return rebuild(about["recipe"], tensors, about["tied"]).to(device).eval()


def load_history(path: str | Path) -> list[dict[str, Any]]:
    """The training history that was saved with a network: one dict an epoch, as `train` returned it."""
    history: list[dict[str, Any]] = describe(path)["history"]
    return history


def describe(path: str | Path) -> dict[str, Any]:
    """What a checkpoint says about itself: recipe, history, images, notes, versions. Reads no weights."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"There is no file {path}: run the training cell above first; it saves the network there."
        )
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a safetensors file, or was cut short ({error}).") from None
    if _KEY not in metadata:
        raise CheckpointError(
            f"{path} holds tensors but no recipe, so its network cannot be built: save it with save_network."
        )
    try:
        about = json.loads(metadata[_KEY])
        form = about["format"]
    except (ValueError, KeyError, TypeError):
        raise CheckpointError(f"{path} has an unreadable description: save the network again.") from None
    if form != FORMAT:
        raise CheckpointError(
            f"{path} was written in format {form!r} and this version of the course reads {FORMAT}: update "
            "the course, or save the network again."
        )
    if not isinstance(about.get("recipe"), dict):
        raise CheckpointError(f"{path} has no recipe, so its network cannot be built.")
    return {"tied": {}, "history": [], "images": None, "notes": {}, "versions": {}, **about}


def rebuild(
    recipe: Mapping[str, Any], tensors: Mapping[str, Tensor], tied: Mapping[str, str] | None = None
) -> nn.Module:
    """Build the recipe's network, with every layer fitted to `tensors` (a state dict). No weight is drawn.

    `tied` maps a name to the name of the tensor that it shares. Widths, biases and dtypes follow the tensors;
    a batch norm that has none left becomes the identity; a tensor that the recipe's network lacks, such as a
    mask, becomes a buffer. Raises CheckpointError when tensors are missing or belong nowhere.
    """
    try:
        with torch.device("meta"):
            network = build(recipe)
    except Exception as error:  # a recipe is data from outside: whatever it breaks, it is the file's fault
        raise CheckpointError(f"The recipe cannot be built: {error}") from None
    everything = dict(tensors)
    for name, source in (tied or {}).items():
        if source not in tensors:
            raise CheckpointError(f"Tensors are missing: {source}.")
        everything[name] = tensors[source]
    for name in [name for name, module in network.named_modules() if isinstance(module, _NORMS)]:
        if not any(key.startswith(f"{name}.") for key in everything):
            network.set_submodule(name, nn.Identity())
    with_bias = {name.removesuffix(".bias") for name in everything if name.endswith(".bias")}
    for name, module in network.named_modules():
        if name not in with_bias and getattr(module, "bias", None) is not None:
            module.bias = None
    for name, tensor in everything.items():
        _put(network, name, tensor)
    for name, source in (tied or {}).items():
        owner, _, leaf = name.rpartition(".")
        first, _, first_leaf = source.rpartition(".")
        setattr(network.get_submodule(owner), leaf, getattr(network.get_submodule(first), first_leaf))
    left = [name for name, tensor in network.state_dict().items() if tensor.is_meta]
    if left:
        raise CheckpointError(f"Tensors are missing: {', '.join(left[:5])}{', …' if len(left) > 5 else ''}.")
    for module in network.modules():
        follow_shapes(module)
    return network


_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_INSTANCE_NORMS = (nn.InstanceNorm1d, nn.InstanceNorm2d, nn.InstanceNorm3d)
_CONVS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


def _put(network: nn.Module, name: str, tensor: Tensor) -> None:
    """Make `tensor` the parameter or buffer `name`, whatever its shape."""
    owner, _, leaf = name.rpartition(".")
    try:
        module = network.get_submodule(owner)
    except AttributeError:
        raise CheckpointError(f"The recipe's network has no layer {owner!r}, which {name} belongs to.") from None
    before = module._parameters.get(leaf, module._buffers.get(leaf))
    if before is not None and before.ndim != tensor.ndim:
        raise CheckpointError(f"{name} has {tensor.ndim} dimensions and the recipe gives {before.ndim}.")
    if leaf in module._parameters:
        trainable = tensor.is_floating_point() or tensor.is_complex()
        module._parameters[leaf] = nn.Parameter(tensor, requires_grad=trainable)
    elif leaf in module._buffers:
        module._buffers[leaf] = tensor
    elif leaf.endswith("_orig"):
        raise CheckpointError(f"{owner} is still parametrised: make its masks permanent before saving it.")
    else:
        module.register_buffer(leaf, tensor)


def follow_shapes(module: nn.Module) -> None:
    """Set the sizes that a layer says of itself to those that its weight has."""
    if isinstance(module, (*_NORMS, *_INSTANCE_NORMS)):
        sized = module.running_mean if module.running_mean is not None else module.weight
        module.num_features = module.num_features if sized is None else len(sized)
    elif isinstance(module, nn.GroupNorm) and module.weight is not None:
        size = module.num_channels // module.num_groups
        module.num_channels, module.num_groups = len(module.weight), len(module.weight) // size
    elif isinstance(module, nn.RNNBase):
        module.input_size = module.get_parameter("weight_ih_l0").shape[1]
    elif isinstance(module, nn.PReLU):
        module.num_parameters = len(module.weight)
    elif isinstance(module, nn.Linear):
        module.out_features, module.in_features = module.weight.shape
    elif isinstance(module, _CONVS + _TRANSPOSED):
        first, second = module.weight.shape[:2]
        transposed = isinstance(module, _TRANSPOSED)
        if module.groups > 1 and module.groups == module.in_channels:
            module.groups = first if transposed else first * module.in_channels // module.out_channels
        inputs, outputs = (first, second * module.groups) if transposed else (second * module.groups, first)
        module.in_channels, module.out_channels = inputs, outputs


def _tensors(network: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The state dict on the CPU, each shared tensor once, and the other names of the shared ones."""
    tensors: dict[str, Tensor] = {}
    tied: dict[str, str] = {}
    first_names: dict[tuple[Any, ...], str] = {}
    for name, tensor in network.state_dict().items():
        place = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() and first_names.setdefault(place, name) != name:
            tied[name] = first_names[place]
        else:
            tensors[name] = tensor.detach().to("cpu", copy=True).contiguous()
    return tensors, tied


def _refuse_new_modules(network: nn.Module, rebuilt: nn.Module) -> None:
    """Raise CheckpointError unless `rebuilt` has the same modules, parameters and settings."""
    parameters = dict(rebuilt.named_parameters())
    for name, _ in network.named_parameters():
        if name not in parameters:
            raise CheckpointError(f"The recipe has no parameter {name}: a checkpoint keeps changed sizes only.")
    there = dict(rebuilt.named_modules())
    for name, module in network.named_modules():
        other = there.get(name)
        if type(other) is not type(module):
            raise CheckpointError(
                f"{name or 'The network'} is a {type(module).__name__} and the recipe makes "
                f"{'nothing' if other is None else 'a ' + type(other).__name__} there: a checkpoint keeps "
                "changed sizes, not new modules."
            )
        for setting in _FREE:
            if getattr(module, setting, None) != getattr(other, setting, None):
                raise CheckpointError(
                    f"{name} has {setting} {getattr(module, setting)} and the recipe gives "
                    f"{getattr(other, setting, None)}: a checkpoint keeps changed sizes, not other settings."
                )


def _describe_images(images: Any) -> dict[str, Any] | None:
    if images is None:
        return None
    return {
        "fingerprint": images.fingerprint,
        "description": images.source.description,
        "kind": images.source.kind,
        "synthetic": images.source.synthetic,
        "classes": list(images.classes),
    }


def _to_plain(value: Any) -> Any:
    """Numbers of numpy and torch as Python's, everything else as text."""
    return value.item() if hasattr(value, "item") else str(value)
